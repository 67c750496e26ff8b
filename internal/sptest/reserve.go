package sptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Reserve returns a URL that can be bound, left and bound again. Where all of
// 127.0.0.0/8 is this machine, on Linux for example, the host is an address
// that nothing else uses: no test, program or connection takes the port while
// nobody listens. The port itself was never bound. A program that is being
// started at that moment could keep it for a while.
func Reserve(t testing.TB) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", host+":0")
	if err == nil {
		l.Close()
		return fmt.Sprintf("tcp://%s:%d", host, 10000+rand.IntN(20000))
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}

package gopherdiscovery_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Protocol numbers as they stand on the wire.
const (
	protoPub        = 0x20
	protoSub        = 0x21
	protoSurveyor   = 0x62
	protoRespondent = 0x63
)

// rawConn speaks the wire format by hand, with nothing of the library's.
type rawConn struct{ net.Conn }

// dialRaw connects to a tcp:// URL and shakes hands.
func dialRaw(t testing.TB, url string, self, peer uint16) rawConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := rawConn{c}
	r.shake(t, self, peer)
	return r
}

func (r rawConn) shake(t testing.TB, self, peer uint16) {
	t.Helper()
	if _, err := r.Write([]byte{0, 'S', 'P', 0, byte(self >> 8), byte(self), 0, 0}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read the other side's handshake: %v", err)
	}
	if want := [8]byte{0, 'S', 'P', 0, byte(peer >> 8), byte(peer), 0, 0}; [8]byte(got) != want {
		t.Fatalf("handshake: got % x, want % x", got, want)
	}
}

func (r rawConn) send(body []byte) error {
	_, err := r.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(body))), body...))
	return err
}

func (r rawConn) receive() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint64(head[:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

// mustReceive fails the test when no message comes in time.
func (r rawConn) mustReceive(t testing.TB) []byte {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(patience))
	body, err := r.receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return body
}

// answerAll answers surveys with a name until the connection ends.
func (r rawConn) answerAll(name string) {
	for {
		survey, err := r.receive()
		if err != nil || r.send(append(survey, name...)) != nil {
			return
		}
	}
}

package sp

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestUnread(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		t.Skip("the system does not tell")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	l := &link{raw: near}
	expect := func(when string, want bool) {
		t.Helper()
		testmain.Eventually(t, 10*time.Second, func() string {
			if l.unread() == want {
				return ""
			}
			return fmt.Sprintf("%s: got unread %t, want %t", when, !want, want)
		})
	}
	expect("at first", false)
	if _, err := far.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	expect("with two bytes", true)
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	expect("with one of them left", true)
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	expect("with none left", false)
	_ = far.Close()
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Fatal("read beyond the end")
	}
	expect("at the end", false)
}

package sp

import (
	"net"
	"runtime"
	"testing"
	"time"
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
		for deadline := time.Now().Add(10 * time.Second); l.unread() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: got unread %t, want %t", when, !want, want)
			}
		}
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

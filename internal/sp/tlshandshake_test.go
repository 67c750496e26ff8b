package sp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSemaphore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := semaphore{free: 2}
		never := make(chan struct{})
		for range 2 {
			if !all.acquire(false, never) {
				t.Fatal("no slot although two are free")
			}
		}
		var order []string
		gone := make(chan struct{})
		wait := func(name string, begun bool, done chan struct{}) {
			go func() {
				if !all.acquire(begun, done) {
					name = "not " + name
				}
				order = append(order, name)
			}()
			synctest.Wait()
		}
		wait("first", false, never)
		wait("goner", false, gone)
		wait("second", false, never)
		wait("begun", true, never)
		if len(order) != 0 {
			t.Errorf("%q have not waited", order)
		}
		close(gone)
		synctest.Wait()
		for range 3 {
			all.release()
			synctest.Wait()
		}
		if want := []string{"not goner", "begun", "first", "second"}; !slices.Equal(order, want) {
			t.Errorf("order: got %q, want %q", order, want)
		}
		all.release()
		all.release()
		if all.free != 2 || len(all.waitingBegun)+len(all.waitingNew) != 0 {
			t.Errorf("in the end: %d free, %d and %d wait, want 2 free", all.free, len(all.waitingBegun), len(all.waitingNew))
		}
	})
}

// newTLSHandshake returns a TLS handshake that needs a slot, and its other
// side.
func newTLSHandshake(all *semaphore) (*tlsHandshakeConn, net.Conn) {
	ours, theirs := net.Pipe()
	return &tlsHandshakeConn{Conn: ours, endpoint: newEndpoint(Protocol{}, Settings{Log: quietSettings.Log, slots: all}), protectedUntil: new(atomic.Int64), remaining: HandshakeTime}, theirs
}

// A dialer gives up a callback that hangs, so that it dials again. A server
// leaves that to its clients.
func TestCallbackThatHangs(t *testing.T) {
	for _, test := range []struct{ dialed, over bool }{{true, false}, {true, true}, {false, false}} {
		dialed := test.dialed
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, theirs := newTLSHandshake(&semaphore{free: 1})
				defer theirs.Close()
				s.dialed, s.over = dialed, test.over
				begun := time.Now()
				const hang = time.Hour
				got, err := callWithoutSlot(s, func() (string, error) {
					time.Sleep(hang)
					return "late", nil
				})
				took := time.Since(begun)
				if dialed && (!errors.Is(err, errSlowCallback) || s.callErr != err || got != "" || took != callbackTime) {
					t.Errorf("got %q and error %v after %v, want the error %v after %v", got, err, took, errSlowCallback, callbackTime)
				}
				if !dialed && (err != nil || got != "late" || took != hang) {
					t.Errorf("got %q and error %v after %v, want no error after %v", got, err, took, hang)
				}
				if calls := s.endpoint.tlsCalls.Load(); dialed && calls != 1 {
					t.Errorf("%d calls are counted while one hangs", calls)
				}
				s.endpoint.shut()
				s.endpoint.end()
				time.Sleep(hang)
				if calls := s.endpoint.tlsCalls.Load(); calls != 0 {
					t.Errorf("%d calls are counted in the end", calls)
				}
			})
		})
	}
}

// The time in our queue does not count against the other side, but its silence
// does.
func TestTimeoutIsForTheOtherSideOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := new(semaphore)
		s, theirs := newTLSHandshake(all)
		defer s.Close()
		defer theirs.Close()
		said := []byte("hello")
		go func() {
			time.Sleep(2 * time.Second)
			_, _ = theirs.Write(said)
		}()
		go func() {
			time.Sleep(time.Minute)
			all.release()
		}()
		start := time.Now()
		got := make([]byte, 10)
		if n, err := s.Read(got); err != nil || string(got[:n]) != "hello" {
			t.Fatalf("got %q, %v", got[:n], err)
		}
		if took, want := time.Since(start), time.Minute; took != want {
			t.Errorf("the slot came after %v, want %v", took, want)
		}
		start = time.Now()
		if _, err := s.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got error %v from a side that is silent", err)
		}
		if took, want := time.Since(start), HandshakeTime-2*time.Second; took != want {
			t.Errorf("the second silence was borne for %v, want %v", took, want)
		}
		if !all.tryAcquire() {
			t.Error("no slot is free while the other side is waited for")
		}
		s.end()
	})
}

// A connection that ends while it waits for a slot stops waiting, and nothing
// that it sends meanwhile is lost.
func TestWaitingForASlot(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			all := new(semaphore)
			s, theirs := newTLSHandshake(all)
			defer s.Close()
			go func() {
				_, _ = theirs.Write([]byte("first"))
				_, _ = theirs.Write([]byte("second"))
				if gone {
					theirs.Close()
				}
			}()
			go func() {
				time.Sleep(time.Minute)
				all.release()
			}()
			start := time.Now()
			got := make([]byte, 10)
			n, err := s.Read(got)
			if gone {
				if took := time.Since(start); !errors.Is(err, io.ErrUnexpectedEOF) || took != 0 {
					t.Errorf("got error %v after %v, want that the other side is gone at once", err, took)
				}
				time.Sleep(time.Hour)
			} else {
				if took := time.Since(start); err != nil || string(got[:n]) != "first" || took != time.Minute {
					t.Errorf("read %q, %v after %v, want the first after a minute", got[:n], err, took)
				}
				if n, err := s.Read(got); err != nil || string(got[:n]) != "second" {
					t.Errorf("read %q, %v, want the second", got[:n], err)
				}
				theirs.Close()
			}
			s.end()
			if !all.tryAcquire() || all.tryAcquire() {
				t.Error("in the end not one slot is free")
			}
		})
	}
}

// What the other side sends while it waits for a slot takes little memory,
// however much it is.
func TestLittleIsReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := new(semaphore)
		s, theirs := newTLSHandshake(all)
		go func() {
			_, _ = theirs.Write(make([]byte, 1))
			// This blocks until the connection is closed.
			_, _ = theirs.Write(make([]byte, 100*maxReadAhead))
		}()
		go func() {
			time.Sleep(time.Minute)
			all.release()
		}()
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if got := cap(s.ahead); got > 2*maxReadAhead {
			t.Errorf("%d bytes were read ahead, want at most about %d", got, maxReadAhead)
		}
		s.end()
		_ = s.Close()
	})
}

// A handshake does not give way while it computes or waits for a slot, nor
// before the other side has had some time.
func TestWhenAHandshakeIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, theirs := newTLSHandshake(&semaphore{free: 1})
		read := make(chan error)
		go func() {
			_, err := s.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		if got, want := s.protectedUntil.Load(), time.Now().Add(helloGrace).UnixNano(); got != want {
			t.Errorf("before it has begun it is spared until %d, want %d", got, want)
		}
		_, _ = theirs.Write(make([]byte, 1))
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if got := s.protectedUntil.Load(); got != math.MaxInt64 {
			t.Errorf("while it computes it is spared until %d, want always", got)
		}
		go func() { _, _ = s.Read(make([]byte, 1)) }()
		synctest.Wait()
		if got, want := s.protectedUntil.Load(), time.Now().Add(begunGrace).UnixNano(); got != want {
			t.Errorf("while the other side is waited for it is spared until %d, want %d", got, want)
		}
		go func() { _, _ = theirs.Write(make([]byte, 1)) }()
		synctest.Wait()
		time.Sleep(time.Minute)
		s.end()
		if got, want := s.protectedUntil.Load(), time.Now().Add(begunGrace).UnixNano(); got != want {
			t.Errorf("after the handshake of TLS it is spared until %d, want %d", got, want)
		}
		_ = s.Close()
	})
}

// A user's key is known for what it can do besides signing.
func TestUsersKeysDecrypt(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key      crypto.Signer
		decrypts bool
	}{
		{struct{ *rsa.PrivateKey }{key}, true},
		{struct{ crypto.Signer }{key}, false},
	} {
		cert := new(tlsHandshakeConn).signingWithoutSlot(tls.Certificate{PrivateKey: test.key})
		if _, decrypts := cert.PrivateKey.(crypto.Decrypter); decrypts != test.decrypts {
			t.Errorf("%T: got %t, want %t", test.key, decrypts, test.decrypts)
		}
	}
}

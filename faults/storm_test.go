//go:build linux

package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// storm is how many clients return to a TLS server at once. On one processor
// their handshakes take several times as long as the server tolerates the
// silence of one.
const storm = 1000

// A server restarts while it has one processor, and all its clients return at
// once, with certificates whose keys are slow. All of them get in, and that
// takes about as much of the processor as their handshakes: few are abandoned
// and begin again. None is dropped again because of the load.
func TestTLSStorm(t *testing.T) {
	long(t)
	// This test is not parallel, so no other test runs beside it.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	cert := newCertificate(t, 4096, "127.0.0.1")
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	clientTLS := &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
	bare := storm * bareHandshake(t, serverTLS, clientTLS)

	quiet := slog.New(slog.DiscardHandler)
	d := &gopherdiscovery.Dialer{TLSConfig: clientTLS, Logger: quiet}
	opt := gopherdiscovery.Options{TLSConfig: serverTLS, Logger: quiet}
	server, err := gopherdiscovery.Server("tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", opt)
	if err != nil {
		t.Fatal(err)
	}
	survey, pubsub := server.URLs()
	server.Close()
	for i := range storm {
		client, err := d.Client(context.Background(), survey, fmt.Sprint("client", i))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
	}
	start, computed := time.Now(), processorTime(t)
	if server, err = gopherdiscovery.Server(survey, pubsub, opt); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sub, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	deadline := time.After(10*bare + patience)
	listed := 0
	for listed < storm {
		select {
		case list := <-sub.Changes():
			if len(list) < listed {
				t.Errorf("the list fell from %d names to %d", listed, len(list))
			}
			listed = len(list)
		case <-deadline:
			t.Fatalf("after %v %d of %d clients are listed: %+v", time.Since(start), listed, storm, server.Stats())
		}
	}
	took := time.Since(start)
	ratio := float64(processorTime(t)-computed) / float64(bare)
	if ratio > 2 {
		t.Errorf("the return took %.2f times as much of the processor as the handshakes, want 1.5 times", ratio)
	}
	results.add(row{
		fault:    fmt.Sprintf("server restarted on one processor, %d clients with RSA-4096 over TLS", storm),
		servers:  1,
		promise:  "all are back, with 1.5 times what the handshakes compute",
		measured: fmt.Sprintf("after %.1f s, %.2f times that", took.Seconds(), ratio),
	})
}

// processorTime returns how much of the processors this process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// bareHandshake measures how much both sides of a handshake compute, without a
// network between them.
func bareHandshake(t *testing.T, server, client *tls.Config) time.Duration {
	t.Helper()
	client = client.Clone()
	client.ServerName = "127.0.0.1"
	const handshakes = 20
	start := processorTime(t)
	for range handshakes {
		a, b := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- tls.Server(a, server).Handshake() }()
		err := tls.Client(b, client).Handshake()
		// This reads the session tickets.
		go func() { _, _ = io.Copy(io.Discard, b) }()
		if err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		_, _ = a.Close(), b.Close()
	}
	return (processorTime(t) - start) / handshakes
}

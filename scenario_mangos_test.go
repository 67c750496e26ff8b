package gopherdiscovery_test

import (
	"context"
	"strings"
	"testing"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/transport"
	"go.nanomsg.org/mangos/v3/transport/inproc"
)

// ownTransport is a transport that a program has registered with mangos: inproc
// under another name.
type ownTransport struct{}

func init() { transport.RegisterTransport(ownTransport{}) }

func (ownTransport) Scheme() string { return "own" }

func (ownTransport) NewDialer(url string, sock mangos.Socket) (mangos.TranDialer, error) {
	return inproc.Transport.NewDialer(inprocURL(url), sock)
}

func (ownTransport) NewListener(url string, sock mangos.Socket) (mangos.TranListener, error) {
	return inproc.Transport.NewListener(inprocURL(url), sock)
}

func inprocURL(url string) string { return "inproc://" + strings.TrimPrefix(url, "own://") }

// Any other scheme is left to the transport that the program has registered,
// with the same promises.
func TestTransportOfTheProgram(t *testing.T) {
	opt := quickOptions
	opt.MaxClients = 1
	server := startServerAt(t, "own://survey", "own://lists", opt)
	client, peers := join(t, server, "one")
	await(t, peers, "one")
	another, err := quiet.Client(context.Background(), "own://survey", "two")
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	eventually(t, "the one too many is refused", func() bool { return server.Stats().Refused > 0 })
	client.Close()
	awaitClosed(t, peers)
	eventually(t, "it gets in when there is room", func() bool {
		services := server.Services()
		return len(services) == 1 && services[0] == "two"
	})
	another.Close()
	server.Close()
	startServerAt(t, "own://survey", "own://lists", opt).Close()
	if left := leftGoroutines(); left != "" {
		t.Errorf("goroutines left behind:\n%s", left)
	}
}

package gopherdiscovery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/xpub"
	"go.nanomsg.org/mangos/v3/protocol/xrespondent"
	"go.nanomsg.org/mangos/v3/protocol/xsub"
	"go.nanomsg.org/mangos/v3/protocol/xsurveyor"
)

// device puts one hop before a URL, and returns the URL to connect to instead.
func device(t *testing.T, toServer, toClients func() (mangos.Socket, error), url string) string {
	t.Helper()
	server, clients := mangosSocket(t, toServer), mangosSocket(t, toClients)
	bound := listenStock(t, clients, anyPort)
	if err := server.Dial(url); err != nil {
		t.Fatal(err)
	}
	if err := mangos.Device(server, clients); err != nil {
		t.Fatal(err)
	}
	return bound
}

// Clients and subscribers work behind one device, and behind two in a row.
func TestDevices(t *testing.T) {
	for hops := 1; hops <= 2; hops++ {
		t.Run(fmt.Sprintf("hops=%d", hops), func(t *testing.T) {
			opt := quickOptions
			// A client behind a device leaves by falling silent.
			opt.SurveyTime = 200 * time.Millisecond
			server := startServer(t, opt)
			survey, pubsub := server.URLs()
			for range hops {
				survey = device(t, xrespondent.NewSocket, xsurveyor.NewSocket, survey)
				pubsub = device(t, xsub.NewSocket, xpub.NewSocket, pubsub)
			}
			one, err := quiet.ClientWithSub(context.Background(), survey, pubsub, "one")
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			peers, _ := one.Peers()
			two, err := quiet.Client(context.Background(), survey, "two")
			if err != nil {
				t.Fatal(err)
			}
			defer two.Close()
			// A device forwards lists but keeps none, so each wait is for a
			// list that a change causes.
			eventually(t, "both are listed", func() bool { return server.Stats().Services == 2 })
			direct := announce(t, server, "direct")
			await(t, peers, "direct", "one", "two")
			two.Close()
			await(t, peers, "direct", "one")
			direct.Close()
			await(t, peers, "one")
		})
	}
}

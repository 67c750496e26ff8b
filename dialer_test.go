package gopherdiscovery_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	netcontext "golang.org/x/net/context" //lint:ignore SA1019 the test is that this one fits

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

func TestConstructorsChangeNoStruct(t *testing.T) {
	opt := gopherdiscovery.Options{}
	server := startServer(t, opt)
	if !reflect.DeepEqual(opt, gopherdiscovery.Options{}) {
		t.Errorf("Server changed its options to %+v", opt)
	}
	d := gopherdiscovery.Dialer{}
	_, pubsub := server.URLs()
	sub, err := d.NewSubscriber(context.Background(), pubsub)
	if err != nil {
		t.Fatal(err)
	}
	sub.Close()
	if d != (gopherdiscovery.Dialer{}) {
		t.Errorf("NewSubscriber changed its dialer to %+v", d)
	}
}

func TestUnknownHostIsRetried(t *testing.T) {
	logger, book := newLogger()
	d := &gopherdiscovery.Dialer{Logger: logger}
	client, err := d.Client(context.Background(), "tcp://no-such-host.invalid:40007", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	testmain.Await(t, "the failure is logged", func() bool { return strings.Contains(book.String(), "no-such-host.invalid") })
}

func TestEitherContextFits(t *testing.T) {
	server := startServer(t, quickOptions)
	_, pubsub := server.URLs()
	for name, ctx := range map[string]context.Context{"standard": context.Background(), "x/net": netcontext.Background()} {
		ctx, cancel := context.WithCancel(ctx)
		var sub *gopherdiscovery.Subscriber
		var err error
		sub, err = gopherdiscovery.NewSubscriber(ctx, pubsub)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cancel()
		awaitClosed(t, sub.Changes())
		sub.Wait()
	}
}

package balance_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"time"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/balance"
)

// A backend announces its URL, and a client sends requests to whichever is
// there. The host in their URLs is a placeholder.
func Example() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	urlServer, urlPubSub := server.URLs()

	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s says hello", r.URL.Path)
	}))
	defer backend.Close()
	announced, err := gopherdiscovery.Client(urlServer, backend.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer announced.Close()

	sub, err := gopherdiscovery.NewSubscriber(context.Background(), urlPubSub)
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close() // ends the transport
	client := &http.Client{Transport: balance.New(sub.Changes(), balance.Options{}), Timeout: 5 * time.Second}
	response, err := client.Get("http://greeter/gopher") // waits for the first list
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output: /gopher says hello
}

// A list of several kinds of peers, of which one is the backend.
func Example_kinds() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	urlServer, urlPubSub := server.URLs()

	for _, kind := range []string{"greeter", "cache"} {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "a %s has answered", kind)
		}))
		defer backend.Close()
		announced, err := gopherdiscovery.Client(urlServer, kind+"+"+backend.URL)
		if err != nil {
			log.Fatal(err)
		}
		defer announced.Close()
	}

	sub, err := gopherdiscovery.NewSubscriber(context.Background(), urlPubSub)
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	transport := balance.New(sub.Changes(), balance.Options{Match: "greeter+*"})
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	response, err := client.Get("http://greeter/")
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output: a greeter has answered
}

// A reverse proxy over the backends that are there now.
func Example_reverseProxy() {
	sub, err := gopherdiscovery.NewSubscriber(context.Background(), "tcp://127.0.0.1:50007")
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()

	proxy := &httputil.ReverseProxy{
		Transport: balance.New(sub.Changes(), balance.Options{}),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.Host = "" // the backend's, as its URL
		},
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:20009", proxy))
}

package web_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/web"
)

// A program that embeds the server shows it below a path of its own.
func Example() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	mux := http.NewServeMux()
	mux.Handle("/discovery/", http.StripPrefix("/discovery", web.NewHandler(server, server.Changes())))
	program := httptest.NewServer(mux) // any http.Server
	defer program.Close()

	response, err := http.Get(program.URL + "/discovery/healthz")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", text)
	// Output: {"clients":0,"services":0,"status":"ok","subscribers":0}
}

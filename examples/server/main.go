// Server is a program with a server in it. From the root of the repository:
//
//	go run ./examples/server
package main

import (
	"log"
	"os"

	"github.com/dahernan/gopherdiscovery"
)

func main() {
	if len(os.Args) != 1 {
		log.Fatal("usage: server")
	}
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	log.Print("the server is running")
	server.Wait()
}

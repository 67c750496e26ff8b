// Client is a program that announces the name which is its argument, and prints
// each new list. From the root of the repository, while ./examples/server runs:
//
//	go run ./examples/client http://10.0.0.2:8080
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/dahernan/gopherdiscovery"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		log.Fatal("usage: client NAME, such as http://10.0.0.2:8080")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := new(gopherdiscovery.Dialer).ClientWithSub(ctx, "tcp://127.0.0.1:40007", "tcp://127.0.0.1:50007", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() // says goodbye

	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	for list := range peers {
		fmt.Println("peers:", list)
	}
}

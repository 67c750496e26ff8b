package promcollector_test

import (
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/promcollector"
)

// A program registers the collector once. Here it is its own scraper.
func Example() {
	server, err := gopherdiscovery.Server("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", gopherdiscovery.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	prometheus.MustRegister(promcollector.New(server))

	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "gopherdiscovery_services" {
			fmt.Println(family.GetName(), family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	// Output: gopherdiscovery_services 0
}

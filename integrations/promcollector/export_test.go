package promcollector

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dahernan/gopherdiscovery"
)

// Of returns the collector of a server with these Stats.
func Of(stats gopherdiscovery.Stats) prometheus.Collector {
	return collector{func() gopherdiscovery.Stats { return stats }}
}

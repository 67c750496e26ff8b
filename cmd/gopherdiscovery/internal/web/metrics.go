package web

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dahernan/gopherdiscovery"
)

// metric is one of the server's Stats.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(gopherdiscovery.Stats) float64
}

func gauge(name, help string, value func(gopherdiscovery.Stats) int) metric {
	return metric{describe(name, help), prometheus.GaugeValue, func(s gopherdiscovery.Stats) float64 { return float64(value(s)) }}
}

func counter(name, help string, value func(gopherdiscovery.Stats) uint64) metric {
	return metric{describe(name+"_total", help), prometheus.CounterValue, func(s gopherdiscovery.Stats) float64 { return float64(value(s)) }}
}

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("gopherdiscovery_"+name, help, nil, nil)
}

var metrics = []metric{
	gauge("clients", "Connections on the survey URL.", func(s gopherdiscovery.Stats) int { return s.Clients }),
	gauge("subscribers", "Connections on the pub/sub URL.", func(s gopherdiscovery.Stats) int { return s.Subscribers }),
	gauge("services", "Names in the list.", func(s gopherdiscovery.Stats) int { return s.Services }),
	gauge("complete", "1 if clients have had time to come back since the server started, 0 otherwise.", func(s gopherdiscovery.Stats) int {
		if s.Complete {
			return 1
		}
		return 0
	}),
	counter("polls", "Surveys of everyone.", func(s gopherdiscovery.Stats) uint64 { return s.Polls }),
	counter("doubted_polls", "Polls that nobody is counted to have missed.", func(s gopherdiscovery.Stats) uint64 { return s.Doubted }),
	counter("answers", "Valid answers to surveys.", func(s gopherdiscovery.Stats) uint64 { return s.Answers }),
	counter("missed_surveys", "Surveys missed, counted per name.", func(s gopherdiscovery.Stats) uint64 { return s.Missed }),
	counter("rejected_messages", "Messages dropped, for example with an invalid or refused name.", func(s gopherdiscovery.Stats) uint64 { return s.Rejected }),
	counter("refused_connections", "Connections closed at once, over -max-clients or without a handshake.", func(s gopherdiscovery.Stats) uint64 { return s.Refused }),
	counter("accept_errors", "Connections that could not be accepted, for example without a file descriptor.", func(s gopherdiscovery.Stats) uint64 { return s.AcceptErrors }),
	counter("lists", "Lists published.", func(s gopherdiscovery.Stats) uint64 { return s.Lists }),
}

// collector takes one look at the Stats for all metrics of a scrape, so that
// they fit together.
type collector struct {
	server Server
}

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range metrics {
		descs <- m.desc
	}
}

func (c collector) Collect(values chan<- prometheus.Metric) {
	stats := c.server.Stats()
	for _, m := range metrics {
		values <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats))
	}
}

func metricsHandler(server Server, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{server},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
	})
}

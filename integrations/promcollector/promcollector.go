// Package promcollector shows the counters of a gopherdiscovery server to
// Prometheus.
//
// Each field of [gopherdiscovery.Stats] is one metric. Those that only rise are
// counters, whose names end in _total; the others are gauges.
//
//	gopherdiscovery_clients                    connections on the survey URL
//	gopherdiscovery_subscribers                connections on the pub/sub URL
//	gopherdiscovery_services                   names on the list
//	gopherdiscovery_silent_services            names on the list that did not answer last
//	gopherdiscovery_complete                   1 when the list is complete, and 0 before
//	gopherdiscovery_polls_total                surveys of all clients
//	gopherdiscovery_doubted_polls_total        polls in which too many were silent to count it
//	gopherdiscovery_answers_total              valid answers to surveys
//	gopherdiscovery_missed_surveys_total       surveys missed, once for each name
//	gopherdiscovery_rejected_messages_total    messages dropped, and connections closed for them
//	gopherdiscovery_refused_connections_total  connections closed before they took part
//	gopherdiscovery_accept_errors_total        connections that could not be accepted
//	gopherdiscovery_lists_total                lists published
//	gopherdiscovery_build_info                 1, with the labels version and goversion
//
// The version is that of the library that the program is built with.
package promcollector

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/internal/build"
)

// New returns a collector of the metrics of a server. The values of one scrape
// belong together. When the server has ended they stay as they were; unregister
// the collector then.
//
// A registry takes the collectors of several servers if each has a label of its
// own; see [prometheus.WrapRegistererWith].
func New(server *gopherdiscovery.DiscoveryServer) prometheus.Collector {
	return collector{server.Stats}
}

// collector takes one look at the Stats for all metrics of a scrape.
type collector struct {
	stats func() gopherdiscovery.Stats
}

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range metrics {
		descs <- m.desc
	}
	descs <- buildInfo.Desc()
}

func (c collector) Collect(values chan<- prometheus.Metric) {
	stats := c.stats()
	for _, m := range metrics {
		values <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats))
	}
	values <- buildInfo
}

var buildInfo = prometheus.MustNewConstMetric(
	prometheus.NewDesc("gopherdiscovery_build_info", "1, with the version of the library and that of Go.", nil,
		prometheus.Labels{"version": build.Version(), "goversion": runtime.Version()}),
	prometheus.GaugeValue, 1)

// metric is one of the Stats.
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
	gauge("services", "Names on the list.", func(s gopherdiscovery.Stats) int { return s.Services }),
	gauge("silent_services", "Names on the list without an answer to the last survey.", func(s gopherdiscovery.Stats) int { return s.Silent }),
	gauge("complete", "1 if clients have had time to come back since the server started, 0 otherwise.", func(s gopherdiscovery.Stats) int {
		if s.Complete {
			return 1
		}
		return 0
	}),
	counter("polls", "Surveys of all clients.", func(s gopherdiscovery.Stats) uint64 { return s.Polls }),
	counter("doubted_polls", "Polls in which too many clients were silent to count their silence.", func(s gopherdiscovery.Stats) uint64 { return s.Doubted }),
	counter("answers", "Valid answers to surveys.", func(s gopherdiscovery.Stats) uint64 { return s.Answers }),
	counter("missed_surveys", "Surveys missed, counted once for each name.", func(s gopherdiscovery.Stats) uint64 { return s.Missed }),
	counter("rejected_messages", "Messages dropped, and connections closed for what they sent.", func(s gopherdiscovery.Stats) uint64 { return s.Rejected }),
	counter("refused_connections", "Connections closed before they took part, over the limit or without a handshake.", func(s gopherdiscovery.Stats) uint64 { return s.Refused }),
	counter("accept_errors", "Connections that could not be accepted, usually for lack of a file descriptor.", func(s gopherdiscovery.Stats) uint64 { return s.AcceptErrors }),
	counter("lists", "Lists published.", func(s gopherdiscovery.Stats) uint64 { return s.Lists }),
}

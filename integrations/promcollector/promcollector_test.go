package promcollector_test

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/integrations/promcollector"
)

// All that the library counts is a metric.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var stats gopherdiscovery.Stats
	fields := reflect.ValueOf(&stats).Elem()
	for i := range fields.NumField() {
		switch field := fields.Field(i); field.Kind() {
		case reflect.Int:
			field.SetInt(int64(i))
		case reflect.Uint64:
			field.SetUint(uint64(i))
		}
	}
	stats.Complete = true
	want := map[string]float64{"gopherdiscovery_build_info": 1}
	for name, field := range map[string]string{
		"clients": "Clients", "subscribers": "Subscribers", "services": "Services", "silent_services": "Silent", "complete": "Complete", "polls_total": "Polls",
		"doubted_polls_total": "Doubted", "answers_total": "Answers", "missed_surveys_total": "Missed", "lists_total": "Lists",
		"rejected_messages_total": "Rejected", "refused_connections_total": "Refused", "accept_errors_total": "AcceptErrors",
	} {
		value := 1.0
		if v := fields.FieldByName(field); v.CanInt() {
			value = float64(v.Int())
		} else if v.CanUint() {
			value = float64(v.Uint())
		}
		want["gopherdiscovery_"+name] = value
	}
	if len(want) != fields.NumField()+1 {
		t.Errorf("%d metrics are tested, want one for each of %d fields of Stats, and that of the build", len(want), fields.NumField())
	}

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promcollector.Of(stats))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got[family.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			labels := make(map[string]string)
			for _, label := range m.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if len(labels) > 0 && (len(labels) != 2 || labels["version"] == "" || labels["goversion"] != runtime.Version()) {
				t.Errorf("labels %v of %s, want a version and that of Go", labels, family.GetName())
			}
		}
		if isTotal := strings.HasSuffix(family.GetName(), "_total"); isTotal != (family.GetType().String() == "COUNTER") {
			t.Errorf("%s is a %v", family.GetName(), family.GetType())
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, error %v, want none", problems, err)
	}

	doc, err := os.ReadFile("promcollector.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^//\t(gopherdiscovery_\w+) `).FindAllStringSubmatch(string(doc), -1)
	for _, name := range named {
		delete(want, name[1])
	}
	if len(named) != len(got) || len(want) > 0 {
		t.Errorf("the package comment has %d metrics, and not %v", len(named), slices.Sorted(maps.Keys(want)))
	}
}

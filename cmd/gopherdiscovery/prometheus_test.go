//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// Prometheus finds its targets at a server, and in a file that watch writes.
// The kind of a target can become its job.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	need(t, "prometheus", "prometheus")
	need(t, "python3", "python3")
	_, server, pubsub, http := startServe(t, "-http", "127.0.0.1:0")
	dir, address := t.TempDir(), freeAddress(t)
	file := filepath.Join(dir, "peers.json")
	const closed = "127.0.0.1:1" // where nobody listens
	startCommand(t, "watch", "-pubsub", pubsub, "-template", "@prometheus:"+file)
	config := fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
- job_name: http
  metrics_path: /name
  http_sd_configs: [{url: %q, refresh_interval: 500ms}]
  relabel_configs: [{source_labels: [__meta_gopherdiscovery_name], target_label: name}]
- job_name: file
  metrics_path: /name
  file_sd_configs: [{files: [%q], refresh_interval: 500ms}]
  relabel_configs: [{source_labels: [__meta_gopherdiscovery_kind], regex: (.+), target_label: job}]
`, http+"/prometheus/sd", file)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, file, "[\n]\n")
	b := startBackend(t, server, "up_as_python 1\n")
	clitest.Join(t, clitest.Quiet, server, "cache+http://"+closed)
	startProgram(t, "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address, "--log.level", "warn")

	targets := &site{t, "http://" + address + "/api/v1/targets?state=active"}
	url, closedURL := "http://"+b.address+"/name", "http://"+closed+"/name"
	closedOnes := map[string]string{"http cache+http://" + closed + " " + closedURL: "down", "cache  " + closedURL: "down"}
	all := maps.Clone(closedOnes)
	all["http http://"+b.address+" "+url], all["file  "+url] = "up", "up"
	targets.awaitHealth(all)
	b.kill(t)
	targets.awaitHealth(closedOnes)
}

// awaitHealth returns when these are the targets of Prometheus, by their jobs,
// names and URLs.
func (s *site) awaitHealth(want map[string]string) {
	s.Helper()
	s.await(func(_ int, body string) bool {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					Labels            struct{ Job, Name string }
					ScrapeURL, Health string
				}
			}
		}
		if json.Unmarshal([]byte(body), &answer) != nil {
			return false // it has not read its own files yet
		}
		got := make(map[string]string)
		for _, target := range answer.Data.ActiveTargets {
			got[target.Labels.Job+" "+target.Labels.Name+" "+target.ScrapeURL] = target.Health
		}
		return maps.Equal(got, want)
	})
}

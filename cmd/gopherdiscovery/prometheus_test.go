//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// Prometheus finds its targets at a server, and in a file that watch writes.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	need(t, "prometheus", "prometheus")
	need(t, "python3", "python3")
	_, server, pubsub, http := startServe(t, "-http", "127.0.0.1:0")
	dir, address := t.TempDir(), freeAddress(t)
	file := filepath.Join(dir, "peers.json")
	startCommand(t, "watch", "-pubsub", pubsub, "-template", "@prometheus:"+file)
	config := fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
- {job_name: http, metrics_path: /name, http_sd_configs: [{url: %q, refresh_interval: 500ms}]}
- {job_name: file, metrics_path: /name, file_sd_configs: [{files: [%q], refresh_interval: 500ms}]}
`, http+"/prometheus/sd", file)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, file, "[\n]\n")
	b := startBackend(t, server, "up_as_python 1\n")
	startProgram(t, "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address, "--log.level", "warn")

	targets := &site{t, "http://" + address + "/api/v1/targets?state=active"}
	url := "http://" + b.address + "/name"
	targets.awaitHealth(map[string]string{"http " + url: "up", "file " + url: "up"})
	b.kill(t)
	targets.awaitHealth(map[string]string{})
}

// awaitHealth returns when these are the targets of Prometheus, by their jobs
// and URLs.
func (s *site) awaitHealth(want map[string]string) {
	s.Helper()
	s.await(func(_ int, body string) bool {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					ScrapePool, ScrapeURL, Health string
				}
			}
		}
		if json.Unmarshal([]byte(body), &answer) != nil {
			return false // it has not read its own files yet
		}
		got := make(map[string]string)
		for _, target := range answer.Data.ActiveTargets {
			got[target.ScrapePool+" "+target.ScrapeURL] = target.Health
		}
		return maps.Equal(got, want)
	})
}

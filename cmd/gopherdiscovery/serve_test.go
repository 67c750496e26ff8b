package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

// anyPorts has the environment too: what a test's own arguments say must win.
var anyPorts = []string{
	"GOPHERDISCOVERY_SERVE_SERVER=tcp://127.0.0.1:0", "GOPHERDISCOVERY_SERVE_PUBSUB=tcp://127.0.0.1:0",
	"GOPHERDISCOVERY_SERVE_POLL_TIME=" + clitest.PollTime.String(), "GOPHERDISCOVERY_SERVE_RETURN_TIME=" + clitest.PollTime.String(),
}

// startServe starts a server and returns what it says where it is reached.
func startServe(t *testing.T, args ...string) (p *clitest.Program, server, pubsub, http string) {
	t.Helper()
	p = startCommand(t, "serve", slices.Concat(anyPorts, args)...)
	found := p.Stderr.Await(`msg="the server is running" server=(\S+) pubsub=(\S+)(?: http=(\S+))?$`)
	return p, found[1], found[2], "http://" + found[3]
}

func get(t *testing.T, url string) (header http.Header, body string) {
	t.Helper()
	code, header, body := ask(t, url)
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, code, body)
	}
	return header, body
}

// ask is get for any answer.
func ask(t *testing.T, url string) (code int, header http.Header, body string) {
	t.Helper()
	client := &http.Client{Timeout: clitest.Patience}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("GET %s: %s, error %v", url, response.Status, err)
	}
	return response.StatusCode, response.Header, string(all)
}

// awaitReady returns when /readyz says so.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	testmain.Eventually(t, clitest.Patience, func() string {
		code, _, body := ask(t, url+"/readyz")
		if code == http.StatusOK {
			return ""
		}
		return fmt.Sprintf("/readyz answers %d %s", code, body)
	})
}

func TestServe(t *testing.T) {
	t.Parallel()
	_, server, pubsub, url := startServe(t, "-http", "127.0.0.1:0")
	clitest.Join(t, clitest.Quiet, server, "http://10.0.0.2:8080")
	clitest.AwaitList(t, clitest.Quiet, pubsub, "http://10.0.0.2:8080")
	awaitReady(t, url)

	_, body := get(t, url+"/healthz")
	var health struct {
		Status            string
		Clients, Services int
	}
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		t.Fatal(err)
	}
	if health.Status != "ok" || health.Clients != 1 || health.Services != 1 {
		t.Errorf("health %s, want ok with one client and service", body)
	}

	header, body := get(t, url+"/metrics")
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("Content-Type %q, want Prometheus text", got)
	}
	for _, want := range []string{
		`# HELP gopherdiscovery_clients \S.*\.\n# TYPE gopherdiscovery_clients gauge\ngopherdiscovery_clients 1`,
		`# TYPE gopherdiscovery_subscribers gauge\ngopherdiscovery_subscribers [01]`,
		`# TYPE gopherdiscovery_services gauge\ngopherdiscovery_services 1`,
		`# TYPE gopherdiscovery_complete gauge\ngopherdiscovery_complete 1`,
		`# TYPE gopherdiscovery_polls_total counter\ngopherdiscovery_polls_total [1-9]\d*`,
		`# TYPE gopherdiscovery_doubted_polls_total counter\ngopherdiscovery_doubted_polls_total \d+`,
		`# TYPE gopherdiscovery_answers_total counter\ngopherdiscovery_answers_total [1-9]\d*`,
		`# TYPE gopherdiscovery_missed_surveys_total counter\ngopherdiscovery_missed_surveys_total \d+`,
		`# TYPE gopherdiscovery_rejected_messages_total counter\ngopherdiscovery_rejected_messages_total 0`,
		`# TYPE gopherdiscovery_refused_connections_total counter\ngopherdiscovery_refused_connections_total 0`,
		`# TYPE gopherdiscovery_accept_errors_total counter\ngopherdiscovery_accept_errors_total 0`,
		`# TYPE gopherdiscovery_lists_total counter\ngopherdiscovery_lists_total [1-9]\d*`,
		`gopherdiscovery_build_info\{goversion="go1\.\S+",version="\S+"\} 1`,
		`go_goroutines \d+`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(body) {
			t.Errorf("no match for %s in\n%s", want, body)
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint of the metrics: %v, error %v, want none", problems, err)
	}
}

// All that the library can do can be set.
func TestServeHasAllOptions(t *testing.T) {
	t.Parallel()
	help, stderr, code := startCommand(t, "serve", "-h").Wait()
	if code != 0 || stderr != "" {
		t.Errorf("-h: exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	flags := map[string]string{"TLSConfig": "tls-cert", "Authorize": "require-cert-name", "Logger": "log-level"}
	capital := regexp.MustCompile(`([a-z])([A-Z])`)
	options := reflect.TypeFor[gopherdiscovery.Options]()
	for i := range options.NumField() {
		field := options.Field(i).Name
		flag, other := flags[field]
		if !other {
			flag = strings.ToLower(capital.ReplaceAllString(field, "$1-$2"))
		}
		if !strings.Contains(help, "\n  -"+flag) {
			t.Errorf("no flag -%s for Options.%s in\n%s", flag, field, help)
		}
	}
}

func TestServeBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want string
	}{
		{"-nonsense", "-nonsense"},
		{"word", `"word"`},
		{"-poll-time soon", `"soon" for flag -poll-time`},
		{"-poll-time -1s", "-poll-time -1s"},
		{"-return-time -1s", "-return-time -1s"},
		{"-survey-time -1ms", "-survey-time -1ms"},
		{"-recv-deadline -2h", "-recv-deadline -2h0m0s"},
		{"-missed-surveys -1", "-missed-surveys -1"},
		{"-max-clients -5", "-max-clients -5"},
		{"-max-clients all", `"all" for flag -max-clients`},
		{"-log-level loud", `"loud" is neither debug, info, warn nor error`},
		{"-log-format xml", `"xml" for flag -log-format`},
		{"-server nonsense", `gopherdiscovery: invalid URL: -server "nonsense"`},
		{"-server tcp://127.0.0.1:1 -pubsub tcp://127.0.0.1:1", `-pubsub "tcp://127.0.0.1:1": the same address as -server`},
		{"-poll-time 1ns", "gopherdiscovery: invalid argument: -poll-time 1ns"},
		{"-http 20007", `-http "20007": missing port in address, want HOST:PORT`},
		{"-http :port:port", `-http ":port:port": too many colons`},
		{"-http :65536", `-http ":65536": invalid port`},
		{"-http :nonsense", `-http ":nonsense": unknown port`},
		{"-pubsub tcp://127.0.0.1:65536", "65536"},
		{"-server tls+tcp://127.0.0.1:0", "-tls-cert"},
		{"-pubsub tls+tcp://127.0.0.1:0", "-tls-cert"},
		{"-require-cert-name", "-require-cert-name"},
		{"-http-host a.example", "-http-host a.example"},
		{"GOPHERDISCOVERY_SERVE_POLL_TIME=soon", `variable "GOPHERDISCOVERY_SERVE_POLL_TIME": parse error "soon"`},
		{"GOPHERDISCOVERY_SERVE_MAX_CLIENTS=-1", "-max-clients -1"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			startCommand(t, "serve", slices.Concat(anyPorts, strings.Fields(test.args))...).WantFailure(2, "gopherdiscovery: ", test.want)
		})
	}
}

func TestServeTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for _, args := range [][2]string{{"-server", "tcp://" + address}, {"-pubsub", "tcp://" + address}, {"-http", address}} {
		t.Run(args[0], func(t *testing.T) {
			startCommand(t, "serve", slices.Concat(anyPorts, args[:])...).WantFailure(1, "gopherdiscovery: ", args[1])
		})
	}
}

// Each test's start shows that the environment is used.
func TestFlagsWinOverTheEnvironment(t *testing.T) {
	t.Parallel()
	survey := "ipc://" + filepath.Join(t.TempDir(), "s")
	p := startCommand(t, "serve", slices.Concat(anyPorts, []string{
		"GOPHERDISCOVERY_SERVE_LOG_FORMAT=json", "GOPHERDISCOVERY_SERVE_MAX_CLIENTS=nonsense", "GOPHERDISCOVERY_SERVE_HTTP=", "-server", survey, "-max-clients", "3",
	})...)
	line := p.Stderr.Await(`^.*the server is running.*$`)[0]
	var got struct{ Server, PubSub, HTTP string }
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if got.Server != survey || !strings.HasPrefix(got.PubSub, "tcp://127.0.0.1:") || got.HTTP != "" {
		t.Errorf("%s, want the server on %s, and no HTTP", line, survey)
	}
}

// An hour for clients to return shows that options reach the server: until then
// it is not ready.
func TestServeOptionsReachTheServer(t *testing.T) {
	t.Parallel()
	_, server, _, url := startServe(t, "-http", "127.0.0.1:0", "-return-time", "1h", "-max-clients", "1")
	clitest.Join(t, clitest.Quiet, server, "a")
	clitest.Join(t, clitest.Quiet, server, "b")
	testmain.Eventually(t, clitest.Patience, func() string {
		_, body := get(t, url+"/metrics")
		if strings.Contains(body, "gopherdiscovery_clients 1\n") && !strings.Contains(body, "gopherdiscovery_refused_connections_total 0\n") {
			return ""
		}
		return "two clients and -max-clients 1, but\n" + body
	})
	time.Sleep(2 * clitest.PollTime)
	if code, _, body := ask(t, url+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz while clients may return: %d %s, want 503", code, body)
	}
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, "gopherdiscovery_complete 0\n") {
		t.Errorf("the list is complete while clients may return:\n%s", body)
	}
}

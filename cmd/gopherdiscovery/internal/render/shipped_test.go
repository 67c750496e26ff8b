package render_test

import (
	"flag"
	"path/filepath"
	"slices"
	"testing"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/dahernan/gopherdiscovery/cmd/gopherdiscovery/internal/render"
)

// shippedNames are one of each sort, and an address of two kinds. nginx,
// HAProxy and Prometheus themselves read their files in the tests of the
// program.
var shippedNames = []string{"http://10.0.0.2:8080", "cache+10.0.0.2:8081", "orders+http://10.0.0.2:8081", "https://[2001:db8::1]:8443", "h2c://web.example:80", "tcp://web.example:90"}

var update = flag.Bool("update", false, "write the files in testdata anew")

// TestShipped compares with the files in testdata.
func TestShipped(t *testing.T) {
	t.Parallel()
	for _, name := range render.Shipped() {
		set := parse(t, "@"+name+":"+filepath.Join(t.TempDir(), "out"))
		for golden, names := range map[string][]string{name + ".some": shippedNames, name + ".none": nil} {
			t.Run(golden, func(t *testing.T) {
				t.Parallel()
				got := print(t, set, peersOf(t, names...))
				if *update {
					put(t, "testdata", golden, got)
				}
				wantText(t, filepath.Join("testdata", golden), got)
			})
		}
	}
}

// shippedAs returns what a shipped template makes of names.
func shippedAs(t *testing.T, name string, names ...string) []byte {
	t.Helper()
	return []byte(print(t, parse(t, "@"+name+":"+filepath.Join(t.TempDir(), "out")), peersOf(t, names...)))
}

// Envoy's own definitions say what it accepts.
func TestShippedEnvoy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names []string
		want  []string
	}{
		{nil, nil},
		{[]string{"http://web.example:80"}, nil},
		{[]string{"10.0.0.2:8080"}, []string{"10.0.0.2"}},
		{shippedNames, []string{"10.0.0.2", "10.0.0.2", "2001:db8::1"}},
	} {
		response := new(discovery.DiscoveryResponse)
		if err := protojson.Unmarshal(shippedAs(t, "envoy", test.names...), response); err != nil {
			t.Fatal(err)
		}
		if len(response.Resources) != 1 {
			t.Fatalf("%d resources, want 1", len(response.Resources))
		}
		assignment := new(endpoint.ClusterLoadAssignment)
		if err := response.Resources[0].UnmarshalTo(assignment); err != nil {
			t.Fatal(err)
		}
		if err := assignment.ValidateAll(); err != nil || assignment.ClusterName != "backends" {
			t.Errorf("error %v, cluster %q, want none and backends", err, assignment.ClusterName)
		}
		var got []string
		for _, e := range assignment.Endpoints[0].LbEndpoints {
			got = append(got, e.GetEndpoint().Address.GetSocketAddress().Address)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("of %q: %q, want %q", test.names, got, test.want)
		}
	}
}

func TestShippedTraefik(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		names []string
		want  []string
	}{
		{nil, []string{}},
		{shippedNames, []string{"h2c://web.example:80", "http://web.example:90", "http://10.0.0.2:8080", "http://10.0.0.2:8081", "https://[2001:db8::1]:8443"}},
	} {
		var config struct {
			HTTP struct {
				Services map[string]struct {
					LoadBalancer struct {
						Servers []struct{ URL string }
					} `yaml:"loadBalancer"`
				}
			}
		}
		if err := yaml.Unmarshal(shippedAs(t, "traefik", test.names...), &config); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		servers := config.HTTP.Services["backends"].LoadBalancer.Servers
		for _, server := range servers {
			got = append(got, server.URL)
		}
		if servers == nil || !slices.Equal(got, test.want) {
			t.Errorf("of %q: %q, want %q", test.names, got, test.want)
		}
	}
}

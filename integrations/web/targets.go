package web

import (
	"cmp"
	"maps"
	"slices"

	"github.com/dahernan/gopherdiscovery/internal/peer"
)

// targetGroup is what Prometheus calls a target group: hosts with ports, and
// labels that all of them have.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// targets returns a group for each scheme of the names that have a host and a
// port, in the order of the schemes. The others are left out. An address with
// several names is one target, with the scheme of the first that is http or
// https. Prometheus scrapes over these two only: a target with no scheme, or
// with another, has no label for it, and is scraped as the job says.
func targets(names []string) []targetGroup {
	schemes := make(map[string]string) // by address
	for _, name := range names {
		p, err := peer.Parse(name)
		if err != nil {
			continue
		}
		scheme := p.Scheme
		if scheme != "http" && scheme != "https" {
			scheme = ""
		}
		schemes[p.Address] = cmp.Or(schemes[p.Address], scheme)
	}
	hosts := make(map[string][]string) // by scheme
	for address, scheme := range schemes {
		hosts[scheme] = append(hosts[scheme], address)
	}
	groups := []targetGroup{}
	for _, scheme := range slices.Sorted(maps.Keys(hosts)) {
		slices.Sort(hosts[scheme])
		group := targetGroup{Targets: hosts[scheme], Labels: map[string]string{}}
		if scheme != "" {
			group.Labels["__scheme__"] = scheme
		}
		groups = append(groups, group)
	}
	return groups
}

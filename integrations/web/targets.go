package web

import "github.com/dahernan/gopherdiscovery/internal/peer"

// targetGroup is what Prometheus calls a target group: hosts with ports, and
// labels that all of them have. One group is one target here.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// schemeLabel is a label by which Prometheus scrapes, and the others are for
// the relabeling of a job.
const (
	schemeLabel = "__scheme__"
	nameLabel   = "__meta_gopherdiscovery_name"
	kindLabel   = "__meta_gopherdiscovery_kind"
)

// targets returns a group for each name that has a host and a port. Names of
// one kind with the same address are one target, which is the first that is
// http or https, or else the first. Prometheus scrapes over these two only: a
// target with no scheme, or with another, has no label for it, and is scraped
// as the job says.
func targets(list []string) []targetGroup {
	type place struct{ kind, address string }
	index := make(map[place]int)
	groups := []targetGroup{}
	for _, name := range list {
		p, err := peer.Parse(name)
		if err != nil {
			continue
		}
		group := targetGroup{[]string{p.Address}, map[string]string{nameLabel: name}}
		if p.Kind != "" {
			group.Labels[kindLabel] = p.Kind
		}
		if p.Scheme == "http" || p.Scheme == "https" {
			group.Labels[schemeLabel] = p.Scheme
		}
		at := place{p.Kind, p.Address}
		if i, known := index[at]; !known {
			index[at] = len(groups)
			groups = append(groups, group)
		} else if groups[i].Labels[schemeLabel] == "" && group.Labels[schemeLabel] != "" {
			groups[i] = group
		}
	}
	return groups
}

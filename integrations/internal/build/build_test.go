package build

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	other := &debug.Module{Path: "example.com/other", Version: "v9.9.9"}
	for name, test := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"required": {&debug.BuildInfo{Deps: []*debug.Module{other, {Path: library, Version: "v1.2.3"}}}, "v1.2.3"},
		"replaced by another version": {
			&debug.BuildInfo{Deps: []*debug.Module{{Path: library, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}}}}, "v1.2.4",
		},
		"replaced by a directory": {&debug.BuildInfo{Deps: []*debug.Module{{Path: library, Version: "v1.2.3", Replace: &debug.Module{Path: "../"}}}}, "(devel)"},
		"in a clone":              {&debug.BuildInfo{Deps: []*debug.Module{{Path: library, Version: "(devel)"}}}, "(devel)"},
		"itself":                  {&debug.BuildInfo{Main: debug.Module{Path: library, Version: "v1.2.3"}}, "v1.2.3"},
		"without it":              {&debug.BuildInfo{Deps: []*debug.Module{other}}, "unknown"},
		"without modules":         {nil, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := version(test.info); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

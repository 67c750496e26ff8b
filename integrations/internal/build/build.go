// Package build tells what a program is built with.
package build

import "runtime/debug"

const library = "github.com/dahernan/gopherdiscovery"

// Version returns the version of the library, such as v1.2.3. It is (devel) for
// a build in a clone, and unknown if the build does not say.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return version(info)
}

func version(info *debug.BuildInfo) string {
	if info == nil {
		return unknown
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path != library {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if module.Version == "" { // replaced by a directory
			return "(devel)"
		}
		return module.Version
	}
	return unknown
}

const unknown = "unknown"

module github.com/dahernan/gopherdiscovery/cmd

go 1.25.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/creack/pty v1.1.24
	// A release sets the versions of our own, see .ci/release. In a clone go.work
	// takes their place.
	github.com/dahernan/gopherdiscovery v0.0.0
	github.com/dahernan/gopherdiscovery/integrations v0.0.0
	github.com/dahernan/gopherdiscovery/internal/cli v0.0.0
	github.com/envoyproxy/go-control-plane/envoy v1.39.0
	github.com/moby/sys/mountinfo v0.7.3
	github.com/peterbourgon/ff/v3 v3.4.0
	github.com/pkg/xattr v0.4.12
	github.com/prometheus/client_golang v1.24.1
	go.yaml.in/yaml/v3 v3.0.4
	golang.org/x/sys v0.47.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cncf/xds/go v0.0.0-20260202195803-dba9d589def2 // indirect
	github.com/envoyproxy/protoc-gen-validate v1.3.3 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.1 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	github.com/rogpeppe/go-internal v1.12.0 // indirect
	go.nanomsg.org/mangos/v3 v3.4.2 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260706201446-f0a921348800 // indirect
	google.golang.org/grpc v1.84.0 // indirect
	gopkg.in/check.v1 v1.0.0-20201130134442-10cb98267c6c // indirect
)

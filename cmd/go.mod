module github.com/dahernan/gopherdiscovery/cmd

go 1.25.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0
	// At a release these become the versions of the library and of its internal
	// module that it is released with, which must be tagged first. Until then
	// go.work takes their place.
	github.com/dahernan/gopherdiscovery v0.0.0
	github.com/dahernan/gopherdiscovery/internal v0.0.0
	github.com/peterbourgon/ff/v3 v3.4.0
	github.com/prometheus/client_golang v1.24.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.1 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	go.nanomsg.org/mangos/v3 v3.4.2 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

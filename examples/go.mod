module github.com/dahernan/gopherdiscovery/examples

go 1.25.0

require (
	github.com/dahernan/gopherdiscovery v0.0.0
	github.com/dahernan/gopherdiscovery/integrations v0.0.0
	github.com/dahernan/gopherdiscovery/internal/cli v0.0.0
	github.com/golang/groupcache v0.0.0-20241129210726-2c02b8208cf8
)

require (
	github.com/golang/protobuf v1.5.4 // indirect
	go.nanomsg.org/mangos/v3 v3.4.2 // indirect
	golang.org/x/net v0.58.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/dahernan/gopherdiscovery => ../
	github.com/dahernan/gopherdiscovery/integrations => ../integrations
	github.com/dahernan/gopherdiscovery/internal/cli => ../internal/cli
)

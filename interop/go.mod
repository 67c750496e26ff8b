module github.com/dahernan/gopherdiscovery/interop

go 1.25.0

require (
	github.com/dahernan/gopherdiscovery v0.0.0
	github.com/dahernan/gopherdiscovery/internal/cli v0.0.0
	nanomsg.org/go-mangos v1.4.0
)

require (
	github.com/Microsoft/go-winio v0.5.2 // indirect
	go.nanomsg.org/mangos/v3 v3.4.2 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace (
	github.com/dahernan/gopherdiscovery => ../
	github.com/dahernan/gopherdiscovery/internal/cli => ../internal/cli
)

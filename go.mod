module github.com/dahernan/gopherdiscovery

go 1.25.0

require (
	go.nanomsg.org/mangos/v3 v3.4.2
	golang.org/x/net v0.58.0
)

require (
	github.com/Microsoft/go-winio v0.5.2 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

module github.com/dahernan/gopherdiscovery

go 1.25.0

require (
	go.nanomsg.org/mangos/v3 v3.4.2
	golang.org/x/net v0.58.0
)

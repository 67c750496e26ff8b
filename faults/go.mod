module github.com/dahernan/gopherdiscovery/faults

go 1.25.0

require (
	github.com/dahernan/gopherdiscovery v0.0.0
	golang.org/x/net v0.58.0
	golang.org/x/sys v0.47.0
)

require go.nanomsg.org/mangos/v3 v3.4.2 // indirect

replace github.com/dahernan/gopherdiscovery => ../

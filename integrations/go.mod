module github.com/dahernan/gopherdiscovery/integrations

go 1.25.0

// At a release this becomes the version of the library that it is released
// with, which must be tagged first. Until then go.work takes its place.
require github.com/dahernan/gopherdiscovery v0.0.0

require google.golang.org/grpc v1.83.2

require (
	go.nanomsg.org/mangos/v3 v3.4.2 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

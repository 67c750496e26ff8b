package cli

var (
	ServeAtMost    = serve
	MaxConns       = maxConns
	MaxDescriptors = maxDescriptors
)

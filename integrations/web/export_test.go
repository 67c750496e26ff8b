package web

import "net/http"

type Source = source

// NewHandlerOf is NewHandler for a server that a test makes up.
func NewHandlerOf(server Source, lists <-chan []string) http.Handler {
	return newHandler(server, lists)
}

package main

import (
	"io"
	"net"
	"net/http"

	"github.com/chiron-faas/chiron/gateway"
)

func textGateway(r gatewayReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s serves OpenFaaS' REST API; its state is in %s\n", s.bold(r.URL), r.State)
		if !r.Auth {
			printf(w, "%s\n", s.dim("no password is asked for"))
		}
		printf(w, "deploy a project to it: %s\n", s.accent("chiron deploy DIR --target openfaas --gateway "+r.URL))
	}
}

// frontDoor hands the queue's calls to the gateway, which is made after the queue.
type frontDoor struct{ gateway *gateway.Gateway }

// ServeHTTP implements http.Handler.
func (f *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.gateway.ServeHTTP(w, r) }

// isLoopback says whether only this machine can reach an address.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

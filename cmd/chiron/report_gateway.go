package main

import "io"

func textGateway(r gatewayReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s serves OpenFaaS' REST API; its state is in %s\n", s.bold(r.URL), r.State)
		if !r.Auth {
			printf(w, "%s\n", s.dim("no password is asked for"))
		}
		printf(w, "deploy a project to it: %s\n", s.accent("chiron deploy DIR --target openfaas --gateway "+r.URL))
	}
}

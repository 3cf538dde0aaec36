package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/auth"
	"github.com/chiron-faas/chiron/gateway/container"
	"github.com/chiron-faas/chiron/gateway/provider"
	"github.com/chiron-faas/chiron/gateway/queue"
	"github.com/chiron-faas/chiron/pipeline"
)

// gatewayFlags of chiron gateway.
type gatewayFlags struct {
	listen, state, secrets, nats string
}

// gatewayReport is what serves, with --output json.
type gatewayReport struct {
	URL   string `json:"url"`
	State string `json:"state"`
	Auth  bool   `json:"basic_auth"`
	PID   int    `json:"pid"`
}

func newGateway(a *app) *cobra.Command {
	var f gatewayFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve OpenFaaS' REST API: functions are deployed to it",
		Long: `Serves OpenFaaS' REST API until Ctrl-C, for "chiron deploy --target openfaas"
and OpenFaaS' own client. What is deployed is kept in the state folder and is
there again after a restart, asynchronous calls that were accepted included.

With --basic-auth DIR, /system/ asks for the user and the password in DIR's files
basic-auth-user and basic-auth-password; without, it listens on loopback only.`,
		Example: `  chiron gateway
  chiron gateway --listen 0.0.0.0:8080 --basic-auth /run/secrets`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkListen(f.listen); err != nil {
				return err
			}
			return a.serveGateway(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", defaultListen, "`address` to serve on")
	flags.StringVar(&f.state, "state", "", "`folder` of what is deployed; default: ~/.local/state/chiron/gateway")
	flags.StringVar(&f.secrets, "basic-auth", "", "`folder` with the files of user and password")
	flags.StringVar(&f.nats, "nats", "", "`URL` of a NATS with JetStream for async calls; default: a built-in one")
	return cmd
}

func (a *app) serveGateway(ctx context.Context, f gatewayFlags) (err error) {
	var basic *auth.Basic
	if f.secrets != "" {
		if basic, err = auth.Read(f.secrets); err != nil {
			return err
		}
	}
	l, err := pipeline.Listen(ctx, f.listen)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the server has closed it, unless it was not reached
	if basic == nil && !isLoopback(l.Addr()) {
		return usagef("--listen %s: whoever reaches it could deploy code: ask for a password with --basic-auth, or listen on 127.0.0.1", f.listen)
	}
	if f.state == "" {
		if f.state, err = a.stateDir(); err != nil {
			return err
		}
	}
	agent, err := a.agent(a)
	if err != nil {
		return err
	}
	front := &frontDoor{}
	p, err := provider.New(provider.Options{
		Dir: f.state, Version: readVersion().Version, Log: a.log(),
		Images: func(dir string) (*container.Engine, error) {
			return container.New(ctx, container.Options{Dir: dir, Gateway: front, Log: a.log()})
		},
		Target: func(dir string) (deploy.Target, error) {
			return local.New(local.Options{Agent: agent, Dir: dir, Log: a.log()})
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	o := queue.Options{URL: f.nats, Handler: front, Log: a.log()}
	if f.nats == "" {
		o.Dir = filepath.Join(f.state, "async")
	}
	q, err := queue.Open(ctx, o)
	if err != nil {
		return err
	}
	defer q.Close()
	g, err := gateway.New(gateway.Options{
		Namespace: provider.DefaultNamespace, System: basic.Handler(p), Async: q, Version: readVersion().Version, Log: a.log(),
	})
	if err != nil {
		return err
	}
	front.gateway = g
	p.Start(ctx, g)
	r := gatewayReport{URL: "http://" + l.Addr().String(), State: f.state, Auth: basic != nil, PID: os.Getpid()}
	if err := a.report(r, textGateway(r)); err != nil {
		return err
	}
	made := make(chan error, 1)
	go func() { made <- q.Run(ctx) }()
	// Calls of the queue that are being made are finished too.
	return errors.Join(g.Serve(ctx, l), <-made)
}

// stateDir is where users' programs keep their state (XDG base directories).
func (a *app) stateDir() (string, error) {
	dir := a.env("XDG_STATE_HOME")
	if dir == "" {
		home := a.env("HOME")
		if home == "" {
			return "", fmt.Errorf("no folder for the state: HOME is not set: name one with --state")
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "chiron", "gateway"), nil
}

// frontDoor hands the queue's calls, and those of containers, to the gateway, which
// is made after them.
type frontDoor struct{ gateway *gateway.Gateway }

// ServeHTTP implements http.Handler. Nobody calls before the gateway is there.
func (f *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.gateway.ServeHTTP(w, r) }

// isLoopback says whether only this machine can reach an address.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

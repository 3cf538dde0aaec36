package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/orchestrator"
)

// orchestrated is what serves a plan whose tasks are called through the gateway:
// the orchestrator, and the gateway's own door for its calls. The door stays open
// while the front one is closed and requests inside come to their end.
type orchestrated struct {
	walker *orchestrator.Orchestrator
	tasks  []gateway.Route
	// endpoint of the walker.
	endpoint deploy.Endpoint

	walks  net.Listener // the walker's
	door   net.Listener // the gateway's, for the walker
	server *http.Server // on the door
	end    context.CancelFunc
	ended  chan error // of the walker
}

// orchestrate prepares the orchestrator of a deployment that is up.
func orchestrate(ctx context.Context, o ServeOptions, running deploy.Running) (_ *orchestrated, err error) {
	scalable, ok := running.(deploy.Scalable)
	if !ok {
		return nil, errors.New("this target does not say where each wrap is, so that the gateway could call tasks: choose a plan whose wraps call each other")
	}
	s := &orchestrated{ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	names := s.route(o, scalable)
	var config net.ListenConfig
	if s.door, err = config.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("a door of the gateway for the orchestrator: %w", err)
	}
	if s.walks, err = config.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("the orchestrator's port: %w", err)
	}
	s.endpoint = deploy.Endpoint{Network: "tcp", Address: s.walks.Addr().String(), Path: "/"}
	s.walker, err = orchestrator.New(orchestrator.Options{
		Workflow: o.Project.Name, Definition: o.Project.Definition, Routes: names,
		Network: "tcp", Address: s.door.Addr().String(), Log: o.Log,
	})
	return s, err
}

// route makes a route for each task, and returns their names by the task's.
func (s *orchestrated) route(o ServeOptions, running deploy.Scalable) map[string]string {
	now := time.Now()
	id := o.Plan.Digest()
	names := make(map[string]string)
	var taken []string
	for _, w := range o.Plan.Wraps {
		network, address, _ := running.First().Address(w.Name)
		for _, task := range w.TaskNames() {
			name := o.Project.Name + "-" + routeName(task)
			for n := 2; slices.Contains(taken, name); n++ {
				name = o.Project.Name + "-" + routeName(task) + "-" + strconv.Itoa(n)
			}
			taken = append(taken, name)
			names[task] = name
			query := url.Values{"plan": {id}, "state": {task}}
			s.tasks = append(s.tasks, gateway.Route{
				Name: name, Kind: gateway.Task, Deployed: now,
				// What wrap 1 calls otherwise (wrap/stage.go).
				Endpoint: deploy.Endpoint{Wrap: w.Name, Network: network, Address: address, Path: "/_/stage?" + query.Encode()},
			})
		}
	}
	return names
}

// routeName makes a task's name one that a route may have.
func routeName(task string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, task)
}

// routes are the workflow's, which leads to the orchestrator, and the tasks'.
func (s *orchestrated) routes(w gateway.Route) []gateway.Route {
	w.Endpoint = s.endpoint
	return append([]gateway.Route{w}, s.tasks...)
}

// start lets it serve.
func (s *orchestrated) start(front http.Handler) {
	s.server = &http.Server{Handler: front, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(s.door) }() // ends with close
	var life context.Context
	life, s.end = context.WithCancel(context.Background())
	go func() { s.ended <- s.walker.Serve(life, s.walks) }()
}

// close ends it. The gateway has ended before, so no request is inside.
func (s *orchestrated) close() error {
	var failures []error
	if s.end != nil {
		s.end()
		failures = append(failures, <-s.ended, s.server.Close())
	} else {
		for _, l := range []net.Listener{s.walks, s.door} {
			if l != nil {
				failures = append(failures, l.Close())
			}
		}
	}
	return errors.Join(failures...)
}

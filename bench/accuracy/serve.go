package accuracy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
)

const (
	// requestsPerRound are timed; one that is not goes before them, since the
	// placement's processes have slept while the others had their turn.
	requestsPerRound = 2
	// warmRounds come before those that count.
	warmRounds = 3
	// maxAnswer bounds a response, bytes.
	maxAnswer = 64 << 20
)

// serve brings all placements up, measures them, and takes them down. It returns
// which part of the machine other programs used meanwhile.
func (e *experiment) serve(ctx context.Context, placements []*placement) (disturbed float64, err error) {
	var up []deploy.Running
	var clients []*http.Client
	defer func() {
		for i, r := range up {
			clients[i].CloseIdleConnections()
			// Also where ctx has ended: nothing may run on.
			err = errors.Join(err, r.Down(context.WithoutCancel(ctx)))
		}
	}()
	for i, p := range placements {
		e.Progress(Step{Workflow: e.project.Name, What: "deploy", Done: i, Of: len(placements)})
		name := label(i, p.name)
		bundles, err := bundle.Build(ctx, bundle.Options{Project: e.project, Plan: p.plan, OutDir: filepath.Join(e.dir, name)})
		if err != nil {
			return 0, fmt.Errorf("model %s: %w", p.name, err)
		}
		running, err := e.target.Up(ctx, deploy.Deployment{Name: name, Plan: p.plan, Bundles: bundles})
		if err != nil {
			return 0, fmt.Errorf("model %s: %w", p.name, err)
		}
		up = append(up, running)
		clients = append(clients, clientOf(running.Workflow()))
	}
	begin, err := readLoad()
	if err != nil {
		return 0, err
	}
	for round := range warmRounds + e.Rounds {
		e.Progress(Step{Workflow: e.project.Name, What: "measure", Done: max(0, round-warmRounds), Of: e.Rounds})
		for i := range placements {
			at := i
			if round%2 == 1 { // nobody always comes after the same
				at = len(placements) - 1 - i
			}
			p := placements[at]
			if round < warmRounds {
				p = &placement{name: p.name}
			}
			if err := e.turn(ctx, clients[at], p); err != nil {
				return 0, fmt.Errorf("model %s: %w", p.name, err)
			}
		}
	}
	end, err := readLoad()
	if err != nil {
		return 0, err
	}
	return others(begin, end), nil
}

// clientOf talks to one wrap on one connection.
func clientOf(endpoint deploy.Endpoint) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return endpoint.Dial(ctx) },
		DisableCompression: true,
	}}
}

// turn is one placement's in a round.
func (e *experiment) turn(ctx context.Context, client *http.Client, p *placement) error {
	sum := 0.0
	for i := range 1 + requestsPerRound {
		begun := time.Now()
		if err := invoke(ctx, client, e.project.Input); err != nil {
			return err
		}
		took := time.Since(begun)
		if i == 0 {
			continue
		}
		sum += float64(took)
		p.all = append(p.all, took)
	}
	p.latencies = append(p.latencies, sum/requestsPerRound)
	return nil
}

func invoke(ctx context.Context, client *http.Client, input []byte) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://wrap/", bytes.NewReader(input))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("a request was answered with status %d: %.300s", res.StatusCode, body)
	}
	return nil
}

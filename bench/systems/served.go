package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/proc"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// warmUps come before whatever counts.
	warmUps = 3
	// pause before each request: what the one before leaves behind (forked
	// children that end, and are reaped) is no part of this one's latency.
	pause = 3 * time.Millisecond
	// startPatience bounds the start of a deployment for each of its wraps, beside
	// serving.DefaultPatience.
	startPatience = 2 * time.Second
	// keepConn is how long a connection may rest until its next request: where others'
	// turns take longer, the gateway may have closed it (after two minutes).
	keepConn = 30 * time.Second
)

// served is a system that is up: a "chiron up" with its gateway.
type served struct {
	program *serving.Program
	gateway load.Target
	conn    *load.Conn
	used    time.Time // when conn was, last
	dir     string
	plan    *plan.Plan
}

// up serves a workflow by a plan.
func (s *session) up(ctx context.Context, w *subject, pl *plan.Plan) (_ *served, err error) {
	// A project folder of its own: its bundles are there. And one for sockets, with
	// a short path.
	u := &served{dir: filepath.Join(s.dir, fmt.Sprintf("u%d", s.starts.Add(1))), plan: pl}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.down())
		}
	}()
	project := filepath.Join(u.dir, "p")
	if _, err := copyProject(w.project, project); err != nil {
		return nil, err
	}
	if err := plan.Write(filepath.Join(project, "plan.json"), pl); err != nil {
		return nil, err
	}
	u.program, err = serving.Start(ctx, serving.ProgramOptions{
		Chiron: s.Chiron, Project: project, Name: w.project.Name, State: filepath.Join(u.dir, "s"), Body: w.project.Input,
		Patience: serving.DefaultPatience + time.Duration(len(pl.Wraps))*startPatience,
	})
	if err != nil {
		return nil, err
	}
	u.gateway = u.program.Gateway()
	return u, nil
}

// down ends it, also where the context has ended: nothing may run on.
func (u *served) down() error {
	var failures []error
	if u.conn != nil {
		_ = u.conn.Close() // it may have been closed by the other side
	}
	if u.program != nil {
		failures = append(failures, u.program.Stop())
	}
	return errors.Join(append(failures, os.RemoveAll(u.dir))...)
}

// request makes one, after a pause, and checks its answer.
func (u *served) request(ctx context.Context, c *checker) (time.Duration, error) {
	a, took, err := u.post(ctx, false)
	if err != nil {
		return 0, err
	}
	return took, c.answer(a.Body)
}

// trace makes a request that tells what its tasks did.
func (u *served) trace(ctx context.Context, w *subject) (traced, error) {
	a, took, err := u.post(ctx, true)
	if err != nil {
		return traced{}, err
	}
	if err := w.check.answer(a.Body); err != nil {
		return traced{}, err
	}
	return readTrace(w.project.Definition, a.Trace, took)
}

// post makes a request, after a pause, and tells how long it took: to connect is no
// part of that.
func (u *served) post(ctx context.Context, traced bool) (a load.Answer, took time.Duration, err error) {
	if u.conn != nil && time.Since(u.used) > keepConn {
		_ = u.conn.Close() // it may have been closed by the other side
		u.conn = nil
	}
	if u.conn == nil {
		if u.conn, err = load.Dial(ctx, u.gateway); err != nil {
			return a, 0, err
		}
	}
	time.Sleep(pause)
	begun := time.Now()
	a, err = u.conn.Post(ctx, traced)
	u.used = time.Now()
	return a, u.used.Sub(begun), err
}

// wraps are the first processes of its wraps.
func (u *served) wraps(ctx context.Context) ([]int, error) {
	status, err := u.program.Status(ctx)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, w := range status.Wraps {
		if w.PID > 0 {
			pids = append(pids, w.PID)
		}
	}
	if len(pids) != len(u.plan.Wraps) {
		return nil, fmt.Errorf("%d of %d wraps are up", len(pids), len(u.plan.Wraps))
	}
	return pids, nil
}

// memory that the wraps hold now, and how many processes they are.
func (u *served) memory(ctx context.Context) (int64, int, error) {
	pids, err := u.wraps(ctx)
	if err != nil {
		return 0, 0, err
	}
	h, err := proc.Held(pids...)
	return h.Memory, h.Processes, err
}

package wrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/cgroup"
)

// worker is a process of functions: host.Worker, as far as the agent uses it.
type worker interface {
	Call(ctx context.Context, c host.Call) (host.Reply, error)
	// WarmUp prepares a process that nobody calls yet, without its handlers.
	WarmUp(ctx context.Context, functions ...string) error
	// Retire lets calls in flight end within grace; Kill does not.
	Retire(grace time.Duration)
	Kill()
	Done() <-chan struct{}
	// Err tells after Done why the process ended.
	Err() error
	// Pid waits for the fork; 0: it failed.
	Pid() int
}

var _ worker = (*host.Worker)(nil)

// zygote is the process that imported the handlers and forks workers:
// host.Zygote, as far as the agent uses it.
type zygote interface {
	// Spawn asks for a worker and does not wait for it.
	Spawn(ctx context.Context, o host.WorkerOptions) (worker, error)
	// Kind tells how a function's handler is called.
	Kind(function string) host.Kind
	Close()
	Done() <-chan struct{}
	Pid() int
}

// hostZygote is a *host.Zygote that spawns workers as the interface wants them.
type hostZygote struct{ *host.Zygote }

func (z hostZygote) Spawn(ctx context.Context, o host.WorkerOptions) (worker, error) {
	w, err := z.Zygote.Spawn(ctx, o)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// hostStarter finds the interpreter and returns what starts a zygote with all
// functions of the bundle.
func hostStarter(ctx context.Context, b *bundle, o Options) (func(context.Context) (zygote, error), error) {
	interpreter := o.Interpreter
	if interpreter == "" {
		found, err := host.FindInterpreter(ctx, b.manifest.Lang, b.manifest.Runtime)
		if err != nil {
			return nil, fmt.Errorf("wrap %q: %w", b.manifest.Wrap, err)
		}
		interpreter = found.Path
	}
	spec := host.Spec{
		Dir:         b.dir,
		Program:     filepath.Join(b.dir, "host", b.manifest.Lang),
		Interpreter: interpreter,
		Template:    o.Template,
		CPUs:        o.CPUs,
		MaxBody:     int(min(o.MaxBody, maxHostBody)),
		StopGrace:   stopGrace,
		WorkDir:     o.WorkDir,
		Env:         o.Env,
		Group:       cgroup.Group(o.FunctionsGroup),
		Log:         functionLog(o.Log.With("wrap", b.manifest.Wrap)),
	}
	if o.ProcessLimit > 0 {
		var err error
		if spec.ProcessLimit, err = processLimit(o.ProcessLimit); err != nil {
			return nil, fmt.Errorf("wrap %q: %w", b.manifest.Wrap, err)
		}
	}
	site := filepath.Join(b.dir, "site")
	if _, err := os.Stat(site); err == nil {
		spec.SitePath = []string{site}
	}
	for i := range b.manifest.Functions {
		f := &b.manifest.Functions[i]
		spec.Functions = append(spec.Functions, host.Function{Name: f.Name, File: f.File, Symbol: f.Symbol, Env: without(f.Env, o.Env), Memory: f.Memory})
	}
	return func(ctx context.Context) (zygote, error) {
		z, err := host.Start(ctx, spec)
		if err != nil {
			return nil, err
		}
		return hostZygote{z}, nil
	}, nil
}

// without is a function's environment less what is given to all functions.
func without(env map[string]string, given []string) map[string]string {
	if len(given) == 0 {
		return env
	}
	own := maps.Clone(env)
	for _, v := range given {
		name, _, _ := strings.Cut(v, "=")
		delete(own, name)
	}
	return own
}

const (
	// maxHostBody is the most that a frame's length can say, with room for the
	// rest of the frame.
	maxHostBody = 1 << 30
	// stopGrace is what the host waits for processes that were asked to end.
	stopGrace = 200 * time.Millisecond
)

// functionLog writes what functions print, one log line for each.
func functionLog(log *slog.Logger) func(host.LogLine) {
	return func(l host.LogLine) {
		log.LogAttrs(context.Background(), slog.LevelInfo, l.Text,
			slog.String("function", l.Function), slog.String("request_id", l.RequestID), slog.String("stream", l.Stream))
	}
}

// traceback of the handler that raised; empty where none did.
func traceback(err error) string {
	var e *host.HandlerError
	if errors.As(err, &e) {
		return e.Traceback
	}
	return ""
}

func isTimeout(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// isExit reports whether the call failed because the process is gone, or going.
func isExit(err error) bool {
	var e *host.ExitError
	return errors.As(err, &e) || isBrokenLane(err)
}

// isBrokenLane is what adding a lane comes to while the worker dies: the call
// has not been sent.
func isBrokenLane(err error) bool { return errors.Is(err, syscall.EPIPE) }

// isFull reports whether a fork failed for want of room: EAGAIN of fork(2).
func isFull(err error) bool {
	var spawn *host.SpawnError
	return errors.As(err, &spawn) && spawn.Errno == syscall.EAGAIN
}

// notStarted reports whether the handler is known not to have seen the call:
// its worker took no new calls, was never forked, or died before it had read it.
func notStarted(err error) bool {
	var exit *host.ExitError
	var spawn *host.SpawnError
	return errors.Is(err, host.ErrRetired) || isBrokenLane(err) || errors.As(err, &spawn) || errors.As(err, &exit) && exit.Unstarted
}

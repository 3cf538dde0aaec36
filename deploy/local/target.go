package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// Options of a Target.
type Options struct {
	// Agent is the file of chiron-agent, which runs the wraps. Without one nothing
	// comes up; what is up can be seen and taken down.
	Agent string
	// Dir holds the state of all deployments; empty: DefaultDir. Its path must
	// be short: sockets lie below (unix(7): 107 bytes in all).
	Dir string
	// StartTimeout bounds the time until a wrap is ready; 0: 60 s.
	StartTimeout time.Duration
	// Grace is how long requests may take to end when a deployment is taken
	// down; 0: 10 s.
	Grace time.Duration
	// Environ is added to every wrap's environment, "KEY=VALUE".
	Environ []string
	// CPUs are the machine's that wraps may have, in the order in which they are
	// given away; nil: all that this process may run on.
	CPUs []int
	// Processes is the most processes and threads that the functions of a wrap may
	// have; 0: DefaultProcesses.
	Processes int
	// NoCgroups runs wraps without control groups even where there are some.
	NoCgroups bool
	// Log takes the keeper's events: starts, deaths, restarts. nil discards.
	Log *slog.Logger
	// Lines, when set, is called with each line that a wrap logs, as it comes,
	// from several goroutines.
	Lines func(deploy.LogLine)
}

// Target is this machine. It implements deploy.Target.
type Target struct {
	options     Options
	hierarchies []hierarchy
	// noGroups says why there are no control groups; empty: there are.
	noGroups string
}

var _ deploy.Target = (*Target)(nil)

// New prepares the state folder.
func New(o Options) (*Target, error) {
	var err error
	if o.Agent != "" {
		if o.Agent, err = filepath.Abs(o.Agent); err != nil {
			return nil, fmt.Errorf("local target: %w", err)
		}
	}
	if o.Dir == "" {
		o.Dir = DefaultDir()
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("local target: %w", err)
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = time.Minute
	}
	if o.Processes <= 0 {
		o.Processes = DefaultProcesses
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := makePrivate(o.Dir); err != nil {
		return nil, err
	}
	t := &Target{options: o}
	switch {
	case o.NoCgroups:
		t.noGroups = "control groups were turned off"
	default:
		if t.hierarchies, err = findCgroups(o.Dir); err != nil {
			t.noGroups = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
	}
	return t, nil
}

// DefaultDir is the folder for the state of this user's deployments.
func DefaultDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "chiron")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("chiron-%d", os.Getuid()))
}

// makePrivate makes a folder that only this user can use, and refuses one that
// somebody else put there first, as is possible below /tmp.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if !info.IsDir() || !ownedByUs(info) {
		return fmt.Errorf("state folder %s is not a folder of this user: remove it or choose another", dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	return nil
}

// Up implements deploy.Target.
func (t *Target) Up(ctx context.Context, d deploy.Deployment) (deploy.Running, error) {
	if t.options.Agent == "" {
		return nil, fmt.Errorf("deploy %q: Options.Agent is empty: give the file of chiron-agent, which runs the wraps", d.Name)
	}
	bundles, err := d.Check()
	if err != nil {
		return nil, err
	}
	lock, err := t.acquire(d.Name)
	if err != nil {
		return nil, err
	}
	// The remains of a keeper that was killed.
	if err := t.sweep(d.Name); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	k, err := newKeeper(t, d, bundles, lock)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	if err := k.start(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// List implements deploy.Target.
func (t *Target) List(ctx context.Context) ([]deploy.Status, error) {
	entries, err := os.ReadDir(t.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	var all []deploy.Status
	for _, e := range entries {
		if !e.IsDir() || deploy.CheckName(e.Name()) != nil {
			continue
		}
		s, err := t.Status(ctx, e.Name())
		if errors.Is(err, deploy.ErrNotFound) {
			continue // it went since
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b deploy.Status) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Status implements deploy.Target.
func (t *Target) Status(ctx context.Context, name string) (deploy.Status, error) {
	if err := deploy.CheckName(name); err != nil {
		return deploy.Status{}, err
	}
	s, err := readState(t.dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return deploy.Status{}, notFound(name)
	}
	if err != nil {
		return deploy.Status{}, err
	}
	if !t.held(name) {
		return s.dead(), nil
	}
	if status, err := askStatus(ctx, t.dir(name)); err == nil {
		return status, nil
	}
	// Its keeper is starting, or ending: the file is as good as it gets.
	return s.Status, nil
}

// Down implements deploy.Target.
func (t *Target) Down(ctx context.Context, name string) error {
	if err := deploy.CheckName(name); err != nil {
		return err
	}
	if _, err := os.Stat(t.dir(name)); errors.Is(err, fs.ErrNotExist) {
		return notFound(name)
	}
	for {
		lock, err := t.acquire(name)
		if err == nil {
			// Nobody keeps it: clear what is left.
			return errors.Join(t.sweep(name), lock.release())
		}
		if !errors.Is(err, deploy.ErrExists) {
			return err
		}
		if err := askDown(ctx, t.dir(name)); err != nil && ctx.Err() != nil {
			return fmt.Errorf("take down %q: %w", name, context.Cause(ctx))
		}
		// The keeper has let go, or was not to be asked: look again.
		select {
		case <-ctx.Done():
			return fmt.Errorf("take down %q: %w", name, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := os.Stat(t.dir(name)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
}

func (t *Target) dir(name string) string { return filepath.Join(t.options.Dir, name) }

func notFound(name string) error {
	return fmt.Errorf("%w: %q: chiron ps lists those that there are", deploy.ErrNotFound, name)
}

// sweep kills and removes what a deployment without a keeper left behind. The
// caller holds its lock.
func (t *Target) sweep(name string) error {
	dir := t.dir(name)
	var failures []error
	if s, err := readState(dir); err == nil && s.Boot == bootID() {
		for _, w := range s.Agents {
			failures = append(failures, clearTree(groupsOf(t.hierarchies, groupName(name, w.Wrap)), w.Agent, workDir(dir, w.Wrap)))
		}
	}
	// Groups outlive what was in them, and a state file that was never written.
	for _, n := range groupsBelow(t.hierarchies, name) {
		g := groupsOf(t.hierarchies, n)
		failures = append(failures, clearTree(g, identity{}, workDir(dir, strings.TrimPrefix(n, groupName(name, "")))), g.remove())
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("clear what is left of %q: %w", name, err) // its folder stays, for the next try
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear what is left of %q: %w", name, err)
	}
	return nil
}

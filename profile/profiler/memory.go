package profiler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/profile"
)

// nothing is the function of a bare host.
const nothing = "nothing"

// bareHost starts the host of a function that does nothing, or returns the one
// that runs. It lives as long as the session: its footprint is read together
// with that of a function's host, so that pages which both share with other
// programs count as much in one as in the other.
func (s *session) bareHost(ctx context.Context, interpreter host.Interpreter) (*functionHost, error) {
	if h, ok := s.bare[interpreter.Path]; ok {
		return h, nil
	}
	file := filepath.Join(s.dir, nothing+".py")
	if err := os.WriteFile(file, []byte("def handle(req):\n    return req\n"), 0o644); err != nil {
		return nil, err
	}
	zygote, err := host.Start(ctx, s.spec(interpreter, "", host.Function{Name: nothing, File: file}))
	if err != nil {
		return nil, err
	}
	h := &functionHost{interpreter: interpreter, zygote: zygote}
	s.bare[interpreter.Path] = h
	return h, nil
}

// ledger compares the memory of a function's host with that of a bare one.
type ledger struct {
	bare, host *functionHost

	bareZygote, zygote profile.Footprint // without a worker
	err                error             // the first; what the kernel does not tell is no reason to stop
}

// imported reads both zygotes before they fork.
func (l *ledger) imported() {
	l.bareZygote = l.read(l.bare.zygote.Pid())
	l.zygote = l.read(l.host.zygote.Pid())
}

// called reads the function's worker after its runs, and a bare worker after
// one; peak is the largest resident set that the function's has had.
func (l *ledger) called(ctx context.Context, worker *host.Worker, peak int64, f *profile.Function) error {
	// Before the bare worker comes, which would change what counts as shared.
	mine := l.read(worker.Pid())
	tree := mine.PSS + l.read(l.host.zygote.Pid()).PSS
	bareBefore := l.read(l.bare.zygote.Pid())
	bare, err := l.bare.worker(ctx)
	if err != nil {
		return err
	}
	defer bare.Close()
	if _, err := bare.Call(ctx, host.Call{Function: nothing, Body: []byte("{}")}); err != nil {
		return err
	}
	its := l.read(bare.Pid())
	bareTree := its.PSS + l.read(l.bare.zygote.Pid()).PSS
	if l.err != nil {
		f.Notes = append(f.Notes, fmt.Sprintf("its memory is not known: %v", l.err))
		return nil
	}
	// A process' own PSS falls when it forks, and its child has the other half:
	// only the sum of both says what the child added.
	its.PSS = max(0, bareTree-bareBefore.PSS)
	mineAdded := profile.Footprint{RSS: mine.RSS, PSS: max(0, tree-l.zygote.PSS), Private: mine.Private}
	f.Memory = profile.Memory{
		Host: l.bareZygote, Worker: its,
		Imports: l.zygote.Minus(l.bareZygote), Calls: mineAdded.Minus(its),
		Transient: max(0, peak-mine.RSS),
	}
	return nil
}

func (l *ledger) read(pid int) profile.Footprint {
	f, err := footprint(pid)
	l.err = errors.Join(l.err, err)
	return f
}

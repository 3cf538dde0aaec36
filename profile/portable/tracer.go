package portable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
	"github.com/chiron-faas/chiron/profile/touched"
)

// Name of the tracer in profiles and options.
const Name = "portable"

const (
	// interval between samples.
	interval = time.Millisecond
	// resolution: what is shorter than half an interval is chance.
	resolution = interval / 2
	// maxSamples bounds one trace: a quarter of an hour.
	maxSamples = 1 << 20
)

// Tracer samples the worker's CPU clock. The zero Tracer works.
type Tracer struct{}

var (
	_ profile.Tracer = Tracer{}
	_ profile.Trace  = (*trace)(nil)
)

// Name is "portable".
func (Tracer) Name() string { return Name }

// Available is nil on any Linux: a process may ask for the CPU clock of
// another.
func (Tracer) Available(context.Context) error {
	_, err := cpuTime(os.Getpid())
	return err
}

// Start starts the sampler, a goroutine that ends with Stop or Abort.
func (Tracer) Start(ctx context.Context, target profile.Target) (profile.Trace, error) {
	if _, err := cpuTime(target.PID); err != nil {
		return nil, err
	}
	t := &trace{target: target, before: touched.Look(target.Dir), stop: make(chan struct{})}
	t.probe, t.unprobed = startProbe(ctx, target)
	t.sampler.Go(t.sample)
	return t, nil
}

type trace struct {
	target profile.Target
	before touched.Folder
	// probe is nil where there is none; unprobed then says why, if it should.
	probe    *probe
	unprobed error
	stop     chan struct{}
	once     sync.Once
	sampler  sync.WaitGroup

	samples []sample // to be read once the sampler has ended
}

func (t *trace) sample() {
	task := syscalls.OpenTask(t.target.PID, t.target.TID)
	defer task.Close()
	queue := openQueue(t.target.PID, t.target.TID)
	defer queue.close()
	own := &queueFile{} // the probe's
	if t.probe != nil {
		own = openQueue(t.target.PID, t.probe.tid)
		defer own.close()
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for len(t.samples) < maxSamples {
		was := task.Read()
		at := time.Now()
		cpu, err := cpuTime(t.target.PID)
		if err != nil {
			return // it ended: so did its calls
		}
		queued, probeQueued := queue.read(), own.read()
		t.samples = append(t.samples, sample{at, cpu, queued, was, probeQueued})
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
	}
}

// halt stops the sampler and waits for it.
func (t *trace) halt() {
	t.once.Do(func() { close(t.stop) })
	t.sampler.Wait()
}

// Abort ends the watching; the probe goes on until the process ends.
func (t *trace) Abort() {
	t.halt()
	if t.probe != nil {
		t.probe.remove()
	}
}

// Stop stops the sampler and cuts the calls by what it saw.
func (t *trace) Stop(_ context.Context, calls []profile.Call, _ profile.Untraced) (*profile.Observation, error) {
	defer t.Abort()
	t.halt()
	if len(calls) == 0 {
		return nil, errors.New("portable: no call was made while it watched")
	}
	known, err := t.ask(calls[0].Start)
	o := &profile.Observation{Resolution: resolution}
	for _, call := range calls {
		if run := segments(t.samples, call); run != nil && !call.Cold && known.covers(call) {
			o.Runs = append(o.Runs, known.split(run, call.Start))
		}
	}
	o.Notes = append(o.Notes, nativeNote(t.probe != nil, err))
	after := touched.Look(t.target.Dir)
	o.Files = t.before.Changed(after)
	o.Notes = append(o.Notes, t.before.Note(after))
	return o, nil
}

// ask reads what the probe found out, and corrects the samples' CPU time by it;
// first is when the first call began. It is nil without a probe.
func (t *trace) ask(first time.Time) (*known, error) {
	if t.probe == nil {
		return nil, t.unprobed
	}
	answers, err := t.probe.answers()
	if err != nil {
		return nil, err
	}
	if len(answers) == 0 {
		return nil, errors.New("it gave no answer")
	}
	unqueue(answers, t.samples)
	k := newKnown(answers, first)
	for i := range t.samples {
		t.samples[i].cpu = k.cpuAt(t.samples[i].at)
	}
	return k, nil
}

// nativeNote says how far native periods can be trusted.
func nativeNote(probed bool, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("native: code that computes without the interpreter lock counts as cpu, for its probe failed: %v", err)
	case !probed:
		return "native: code that computes without the interpreter lock counts as cpu, for nothing probed it"
	}
	return fmt.Sprintf("native: told from cpu by a thread that asks for the interpreter lock every %v; code that takes and leaves it more often than that seems more native than it is", pause)
}

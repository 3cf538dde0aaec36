package portable

import (
	"context"
	"errors"
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
func (Tracer) Start(_ context.Context, target profile.Target) (profile.Trace, error) {
	if _, err := cpuTime(target.PID); err != nil {
		return nil, err
	}
	t := &trace{target: target, before: touched.Look(target.Dir), stop: make(chan struct{})}
	t.sampler.Go(t.sample)
	return t, nil
}

type trace struct {
	target  profile.Target
	before  touched.Folder
	stop    chan struct{}
	once    sync.Once
	sampler sync.WaitGroup

	samples []sample // to be read once the sampler has ended
}

func (t *trace) sample() {
	task := syscalls.OpenTask(t.target.PID, t.target.TID)
	defer task.Close()
	queue := openQueue(t.target.PID, t.target.TID)
	defer queue.close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for len(t.samples) < maxSamples {
		was := task.Read()
		at := time.Now()
		cpu, err := cpuTime(t.target.PID)
		if err != nil {
			return // it ended: so did its calls
		}
		t.samples = append(t.samples, sample{at, cpu, queue.read(), was})
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
	}
}

// Abort stops the sampler and waits for it.
func (t *trace) Abort() {
	t.once.Do(func() { close(t.stop) })
	t.sampler.Wait()
}

// Stop stops the sampler and cuts the calls by what it saw.
func (t *trace) Stop(_ context.Context, calls []profile.Call, _ profile.Untraced) (*profile.Observation, error) {
	t.Abort()
	if len(calls) == 0 {
		return nil, errors.New("portable: no call was made while it watched")
	}
	o := &profile.Observation{Resolution: resolution}
	for _, call := range calls {
		if run := segments(t.samples, call); run != nil && !call.Cold {
			o.Runs = append(o.Runs, run)
		}
	}
	after := touched.Look(t.target.Dir)
	o.Files = t.before.Changed(after)
	o.Notes = append(o.Notes, t.before.Note(after))
	return o, nil
}

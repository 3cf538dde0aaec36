package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/chiron-faas/chiron/deploy"
)

// instance is one set of all the plan's wraps. It implements deploy.Instance.
type instance struct {
	keeper *keeper
	number int
	wraps  []*wrap
	life   context.Context // of the wraps
	end    context.CancelFunc
	// owned are the goroutines that keep the wraps; begin adds to it unless Stop
	// was there first.
	owned    sync.WaitGroup
	stopping bool // guarded by keeper.mu
	stopOnce sync.Once
	stopErr  error
}

var (
	_ deploy.Instance = (*instance)(nil)
	_ deploy.Scalable = (*keeper)(nil)
)

// wrapLabel names a wrap of an instance in files, control groups and logs: as
// the plan names it in the first, "wrap-1.2" in the second. No wrap's name holds
// a dot.
func wrapLabel(wrap string, instance int) string {
	if instance == 1 {
		return wrap
	}
	return wrap + "." + strconv.Itoa(instance)
}

// newInstance prepares what the next instance needs; nothing runs yet. It is in
// the keeper's list until it has been stopped.
func (k *keeper) newInstance() (*instance, error) {
	load := k.target.loadOfOthers(k.name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closing {
		return nil, fmt.Errorf("deploy %q: it is being taken down", k.name)
	}
	i := &instance{keeper: k, number: 1}
	for k.numbered(i.number) {
		i.number++
	}
	for _, other := range k.instances {
		for _, w := range other.wraps {
			for _, cpu := range w.cpus {
				load[cpu]++
			}
		}
	}
	var asked []int
	for n := range k.specs {
		asked = append(asked, k.specs[n].CPUs)
	}
	given := assignCPUs(k.machine, load, asked)
	for n, b := range k.bundles {
		w, err := newWrap(i, &k.specs[n], b, given[n])
		if err != nil {
			for _, made := range i.wraps {
				err = errors.Join(err, made.remove())
			}
			return nil, err
		}
		i.wraps = append(i.wraps, w)
	}
	i.life, i.end = context.WithCancel(k.life)
	k.instances = append(k.instances, i)
	return i, nil
}

// numbered says whether an instance has the number; the caller holds k.mu.
func (k *keeper) numbered(number int) bool {
	for _, i := range k.instances {
		if i.number == number {
			return true
		}
	}
	return false
}

// begin brings every wrap up, or says why it cannot; stop must follow then.
func (i *instance) begin(ctx context.Context) error {
	started := make(chan error, len(i.wraps))
	i.keeper.mu.Lock()
	if i.stopping {
		i.keeper.mu.Unlock()
		return fmt.Errorf("deploy %q: it is being taken down", i.keeper.name)
	}
	for _, w := range i.wraps {
		i.owned.Go(func() { w.keep(i.life, started) })
	}
	i.keeper.mu.Unlock()
	for range i.wraps {
		select {
		case err := <-started:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("deploy %q: %w", i.keeper.name, context.Cause(ctx))
		}
	}
	return i.keeper.save()
}

// Start implements deploy.Scalable.
func (k *keeper) Start(ctx context.Context) (deploy.Instance, error) {
	i, err := k.newInstance()
	if err != nil {
		return nil, err
	}
	if err := i.begin(ctx); err != nil {
		// What is waited for in the end is not ctx's matter.
		return nil, errors.Join(err, i.Stop(context.Background()))
	}
	return i, nil
}

// First implements deploy.Scalable.
func (k *keeper) First() deploy.Instance { return k.first }

// Number implements deploy.Instance.
func (i *instance) Number() int { return i.number }

// Address implements deploy.Instance.
func (i *instance) Address(wrap string) (network, address string, ok bool) {
	for _, w := range i.wraps {
		if w.name == wrap {
			return "unix", w.socket, true
		}
	}
	return "", "", false
}

// Stop implements deploy.Instance. It is bounded by the target's grace period
// and not by ctx: nothing may be left half stopped.
func (i *instance) Stop(context.Context) error {
	i.stopOnce.Do(func() {
		i.keeper.mu.Lock()
		i.stopping = true
		i.keeper.mu.Unlock()
		i.end() // every keep ends its wrap within the grace period
		i.owned.Wait()
		var failures []error
		for _, w := range i.wraps {
			failures = append(failures, w.left, w.remove(), os.RemoveAll(workDir(i.keeper.dir, w.label)))
		}
		if err := errors.Join(failures...); err != nil {
			i.stopErr = fmt.Errorf("stop instance %d of %q: %w", i.number, i.keeper.name, err)
		}
		i.keeper.forget(i)
	})
	return i.stopErr
}

// forget takes a stopped instance off the list.
func (k *keeper) forget(gone *instance) {
	k.mu.Lock()
	for n, i := range k.instances {
		if i == gone {
			k.instances = append(k.instances[:n:n], k.instances[n+1:]...)
			break
		}
	}
	k.mu.Unlock()
	if err := k.save(); err != nil {
		k.target.options.Log.Error("could not write the deployment's state", "deployment", k.name, "error", err.Error())
	}
}

// snapshot lists the instances there are.
func (k *keeper) snapshot() []*instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*instance(nil), k.instances...)
}

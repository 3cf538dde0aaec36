package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/restart"
)

// instance is a replica of a function: a container, and the next one when that
// ends. It implements deploy.Instance and deploy.Dialer.
type instance struct {
	function *Deployed
	number   int
	label    string
	life     context.Context
	end      context.CancelFunc
	kept     sync.WaitGroup
	stopOnce sync.Once
	stopErr  error

	mu     sync.Mutex
	now    *container        // guarded by mu; nil: none is ready
	status deploy.WrapStatus // guarded by mu
}

var (
	_ deploy.Instance = (*instance)(nil)
	_ deploy.Dialer   = (*instance)(nil)
)

// errAway is the error of a connection to a container that is not there now.
var errAway = fmt.Errorf("its container is being started: %w", syscall.ECONNREFUSED)

// keep runs the container, again when it ends, until the instance's life does. What
// became of the first start is sent on started.
func (i *instance) keep(started chan<- error) {
	pauses := restart.Pauses{First: 100 * time.Millisecond, Longest: 30 * time.Second, Well: 10 * time.Second}
	for first := true; ; {
		begun := time.Now()
		c, err := i.function.start(i.label, i.number)
		if err == nil {
			err = c.await(i.life)
		}
		if err == nil {
			i.serves(c, time.Since(begun))
		}
		if first {
			started <- err
			first = false
			if err != nil {
				i.stopErr = i.finish(c)
				return
			}
		}
		if err == nil {
			select {
			case <-i.life.Done():
			case <-c.exited:
				err = errors.New(c.lastWord())
			}
		}
		if i.life.Err() != nil {
			i.stopErr = i.finish(c)
			return
		}
		lived := time.Since(begun)
		pause := pauses.After(lived)
		i.function.engine.log.Warn("a container ended and is started again", "function", i.function.options.Name, "replica", i.label,
			"error", err.Error(), "lived", lived.Round(time.Millisecond).String(), "pause", pause.String())
		i.away(err)
		if err := i.finish(c); err != nil {
			i.function.engine.log.Error("a container was not cleared away", "function", i.function.options.Name, "replica", i.label, "error", err.Error())
		}
		select {
		case <-i.life.Done():
			return
		case <-time.After(pause):
		}
	}
}

// finish ends a container; nil: there is none.
func (i *instance) finish(c *container) error {
	if c == nil {
		return nil
	}
	err := c.end()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now, i.status.PID = nil, 0
	return err
}

func (i *instance) serves(c *container, took time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = c
	i.status.State, i.status.Since, i.status.PID = deploy.WrapReady, time.Now(), c.pid()
	i.status.StartMS = float64(took.Microseconds()) / 1e3
}

func (i *instance) away(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = nil
	i.status.State, i.status.Since, i.status.LastError = deploy.WrapRestarting, time.Now(), err.Error()
	i.status.Restarts++
}

// Number implements deploy.Instance.
func (i *instance) Number() int { return i.number }

// Address implements deploy.Instance. It is for messages: Dial connects.
func (i *instance) Address(string) (network, address string, ok bool) {
	return "container", i.function.options.Name + "/" + strconv.Itoa(i.number), true
}

// Dial implements deploy.Dialer.
func (i *instance) Dial(ctx context.Context, _ string) (net.Conn, error) {
	i.mu.Lock()
	c := i.now
	i.mu.Unlock()
	if c == nil {
		return nil, &net.OpError{Op: "dial", Net: "container", Err: errAway}
	}
	return c.dial(ctx)
}

// Stop implements deploy.Instance.
func (i *instance) Stop(context.Context) error {
	i.stopOnce.Do(func() {
		i.end()
		i.kept.Wait()
		i.function.forget(i)
	})
	return i.stopErr
}

func (i *instance) statusNow() deploy.WrapStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.status
	if i.now != nil {
		s.Memory = i.now.memory()
	}
	return s
}

package wrap

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// nursery keeps the zygote alive: everything that runs functions is forked of
// the one in its slot.
type nursery struct {
	start func(ctx context.Context) (zygote, error)
	live  *slot[zygote]
	log   *slog.Logger
	// restarts counts the zygotes after the first; only run writes it.
	restarts func()
}

// run keeps a zygote until ctx ends and closes the last. It gives up only on
// the first one: a handler that cannot be imported will not be importable later.
func (n *nursery) run(ctx context.Context) error {
	var deaths backoff
	for first := true; ; {
		z, err := n.start(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				z.Close()
				<-z.Done()
			}
			return nil
		case err != nil && first:
			return err
		case err != nil:
			n.live.explain(err)
			n.log.Error("could not restart the language host", "error", err.Error())
			if !pause(ctx, max(deaths.died(0), firstPause)) {
				return nil
			}
			continue
		}
		if !first {
			n.restarts()
		}
		first = false
		started := time.Now()
		n.live.put(z)
		n.log.Info("language host ready", "pid", z.Pid())
		select {
		case <-ctx.Done():
			n.live.remove(z, context.Cause(ctx))
			z.Close()
			<-z.Done()
			return nil
		case <-z.Done():
		}
		n.live.remove(z, errors.New("the language host died"))
		n.log.Warn("language host died", "pid", z.Pid(), "lived", time.Since(started).Round(time.Millisecond).String())
		z.Close()
		if !pause(ctx, deaths.died(time.Since(started))) {
			return nil
		}
	}
}

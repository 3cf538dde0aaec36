package main

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
)

// target is where wraps run: this machine. Without an agent it starts none, but
// lists and ends those that run.
func (a *app) target(agent string) (deploy.Target, error) {
	o := local.Options{Agent: agent, Log: a.log()}
	if a.verbose {
		var mu sync.Mutex // of a.err; lines come from every wrap at once
		s := a.style(a.err)
		o.Lines = func(l deploy.LogLine) {
			mu.Lock()
			defer mu.Unlock()
			printf(a.err, "%s\n", logText(s, l))
		}
	}
	return local.New(o)
}

// log takes what the keeper of a deployment has to say, on standard error:
// warnings, and everything with --verbose.
func (a *app) log() *slog.Logger {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// atMostOne is the cobra.PositionalArgs of a verb that may be given one argument.
func atMostOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("one %s is taken, and %q is one too many", name, args[1])
		}
		return nil
	}
}

// listed joins names for a sentence.
func listed(names []string) string { return strings.Join(names, ", ") }

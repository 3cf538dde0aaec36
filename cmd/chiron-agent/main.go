package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/chiron-faas/chiron/wrap"
)

// The exit codes, as chiron has them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal drains; from then on a second one ends the program as if
	// nobody had listened.
	context.AfterFunc(ctx, stop)
	code := run(ctx, program{out: os.Stdout, err: os.Stderr, env: os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}

// program is where the agent writes, and what it is told by its environment.
type program struct {
	out, err io.Writer
	env      func(string) string
}

// run is the whole program: it reads args, serves, and returns the exit code.
func run(ctx context.Context, p program, args []string) int {
	f := &flags{}
	set := f.set()
	set.SetOutput(io.Discard) // what is wrong is said once, here
	o, err := f.options(set, args, p.env)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		_, _ = fmt.Fprintf(p.out, "%s%s", usage, set.FlagUsages())
		return exitDone
	case err != nil:
		_, _ = fmt.Fprintf(p.err, "chiron-agent: %s; see: chiron-agent --help\n", err)
		return exitUsage
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	o.Log = slog.New(slog.NewJSONHandler(p.err, &slog.HandlerOptions{Level: level}))
	if err := serve(ctx, o); err != nil {
		// The log is the agent's one voice: who started it reads the last line of
		// it.
		o.Log.Error(err.Error())
		return exitFailed
	}
	return exitDone
}

func serve(ctx context.Context, o wrap.Options) error {
	agent, err := wrap.New(ctx, o)
	if err != nil {
		return err
	}
	return agent.Serve(ctx)
}

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
)

// The exit codes, as chiron has them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is the whole program: it reads args, works, and returns the exit code.
func run(ctx context.Context, out, errs io.Writer, args []string) int {
	f := &flags{}
	set := f.set()
	set.SetOutput(io.Discard) // what is wrong is said once, here
	err := f.parse(set, args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		_, _ = fmt.Fprintf(out, "%s%s", usage, set.FlagUsages())
		return exitDone
	case err != nil:
		_, _ = fmt.Fprintf(errs, "chiron-controller: %s; see: chiron-controller --help\n", err)
		return exitUsage
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: level}))
	if err := start(ctx, f, log); err != nil {
		log.Error(err.Error())
		return exitFailed
	}
	return exitDone
}

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal ends the work in order; from then on a second one ends
	// the program as if nobody had listened.
	context.AfterFunc(ctx, stop)
	code := run(ctx, &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, agent: findAgent}, os.Args[1:])
	stop()
	os.Exit(code)
}

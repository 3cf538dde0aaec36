// Command servicectl starts and ends the workflows' services; make services and
// make services-stop run it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/chiron-faas/chiron/bench/services"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // stop only hands signals back
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("servicectl: say start, stop or status")
	}
	o := services.Options{Ports: services.DefaultPorts(), Outlive: true}
	flags := flag.NewFlagSet("servicectl "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", ".cache/services", "`folder` of the services' files")
	flags.StringVar(&o.Gateway, "gateway", ".cache/bin/versitygw", "the object server's `program`")
	flags.IntVar(&o.Ports.Postgres, "postgres-port", o.Ports.Postgres, "`port` of PostgreSQL")
	flags.IntVar(&o.Ports.Redis, "redis-port", o.Ports.Redis, "`port` of Redis")
	flags.IntVar(&o.Ports.Memcached, "memcached-port", o.Ports.Memcached, "`port` of memcached")
	flags.IntVar(&o.Ports.S3, "s3-port", o.Ports.S3, "`port` of the object server")
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("servicectl: what is %q?", flags.Arg(0))
	}
	switch args[0] {
	case "start":
		return start(ctx, o)
	case "stop":
		s, err := services.Attach(o.Dir)
		if errors.Is(err, services.ErrNotRunning) {
			fmt.Println("no services run")
			return nil
		}
		if err != nil {
			return err
		}
		return s.Stop()
	case "status":
		s, err := services.Attach(o.Dir)
		if err != nil {
			return err
		}
		if err := services.Ready(ctx, s.Ports); err != nil {
			return err
		}
		report(s)
		return nil
	}
	return fmt.Errorf("servicectl: %q: say start, stop or status", args[0])
}

// start starts the services; where they run, their data are put there anew.
func start(ctx context.Context, o services.Options) error {
	s, err := services.Attach(o.Dir)
	if err == nil && s.Running() {
		if s.Ports != o.Ports {
			return fmt.Errorf("servicectl: the services run at other ports (%+v): end them first: make services-stop", s.Ports)
		}
		if err := s.Seed(ctx); err != nil {
			return err
		}
		report(s)
		return nil
	}
	if err == nil { // some have ended: start all anew
		if err := s.Stop(); err != nil {
			return err
		}
	}
	if s, err = services.Start(ctx, o); err != nil {
		return err
	}
	report(s)
	return nil
}

func report(s *services.Services) {
	fmt.Printf("on 127.0.0.1: PostgreSQL %d, Redis %d, memcached %d, S3 %d; with the workflows' data\n",
		s.Ports.Postgres, s.Ports.Redis, s.Ports.Memcached, s.Ports.S3)
}

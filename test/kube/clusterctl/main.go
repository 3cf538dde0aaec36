// Command clusterctl brings a Kubernetes cluster of one node up and down; make
// kube-up, kube-down and test-kube run it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/chiron-faas/chiron/test/kube/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // stop only hands signals back
	}
}

const usage = "clusterctl: say up, down, status or import FILE…"

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	if args[0] == "node" && len(args) == 3 { // how up calls this program again
		return cluster.Node(args[1], args[2], os.NewFile(3, "go-ahead"))
	}
	var o cluster.Options
	flags := flag.NewFlagSet("clusterctl "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", ".cache/kube", "`folder` of the cluster's files")
	flags.StringVar(&o.Bin, "bin", "", "`folder` of its programs; empty: bin in -dir")
	flags.IntVar(&o.CPUs, "cpus", 0, "CPUs that the node promises to pods; 0: as many as the machine has")
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0 && args[0] != "import":
		return fmt.Errorf("clusterctl: what is %q?", flags.Arg(0))
	}
	if o.Bin == "" {
		o.Bin = filepath.Join(o.Dir, "bin")
	}
	switch args[0] {
	case "up":
		c, err := cluster.Up(ctx, o)
		if err != nil {
			return err
		}
		fmt.Printf("%s takes pods; export KUBECONFIG=%s\n", cluster.NodeName, c.Kubeconfig())
		return nil
	case "down":
		err := cluster.Down(o.Dir)
		if errors.Is(err, cluster.ErrDown) {
			fmt.Printf("no cluster runs in %s\n", o.Dir)
			return nil
		}
		return err
	case "status", "import":
		c, err := cluster.Attach(o.Dir)
		if err != nil {
			return err
		}
		if args[0] == "import" {
			return importAll(ctx, c, flags.Args())
		}
		if err := c.Healthy(ctx); err != nil {
			return err
		}
		fmt.Printf("%s takes pods; export KUBECONFIG=%s\n", cluster.NodeName, c.Kubeconfig())
		return nil
	}
	return fmt.Errorf("clusterctl: %q: %s", args[0], usage)
}

func importAll(ctx context.Context, c *cluster.Cluster, files []string) error {
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("clusterctl: %w", err)
		}
		err = c.Import(ctx, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Command write writes one of the paper's workflows as a project:
//
//	go run ./bench/workflows/write finra-50 /tmp/finra-50
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/workflows"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("write", flag.ContinueOnError)
	at := flags.String("services", "", "`folder` of services that run at ports of their own; default: the ports of make services")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "write [-services FOLDER] NAME DIR\nNAME is one of %s.\n", strings.Join(workflows.List(), ", "))
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() != 2:
		flags.Usage()
		return errors.New("write: give a workflow's name and a folder")
	}
	ports := services.DefaultPorts()
	if *at != "" {
		s, err := services.Attach(*at)
		if err != nil {
			return err
		}
		ports = s.Ports
	}
	project, err := workflows.Write(flags.Arg(0), flags.Arg(1), ports)
	if err != nil {
		return err
	}
	fmt.Printf("%s: run it with: chiron run %s\n", project.Name, flags.Arg(1))
	return nil
}

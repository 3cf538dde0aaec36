package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
)

func newPs(a *app) *cobra.Command {
	at := targetFlags{}
	cmd := &cobra.Command{
		Use:     "ps [NAME]",
		Short:   "Show what is deployed",
		Long:    "Shows every deployment and its wraps, or those of one deployment: on this machine, on\nan OpenFaaS, or in a namespace of a Kubernetes cluster.",
		Example: "  chiron ps\n  chiron ps finra-5 --output json",
		Args:    atMostOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := at.chosen(a)
			if err != nil {
				return err
			}
			all := []deploy.Status{}
			if len(args) == 1 {
				one, err := target.Status(cmd.Context(), args[0])
				if err != nil {
					return at.explained(args[0], err)
				}
				all = append(all, one)
			} else {
				found, err := target.List(cmd.Context())
				if err != nil {
					return err
				}
				all = append(all, found...)
			}
			return a.report(all, textStatus(all, time.Now()))
		},
	}
	at.add(cmd)
	return cmd
}

func textStatus(all []deploy.Status, now time.Time) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		if len(all) == 0 {
			printf(w, "nothing is deployed; chiron up DIR deploys a project\n")
			return
		}
		columns := []column{
			{title: "DEPLOYMENT", flex: true},
			{title: "WRAP", flex: true},
			{title: "STATE"},
			{title: "PID", right: true},
			{title: "FOR", right: true},
			{title: "START", right: true},
			{title: "RESTARTS", right: true},
			{title: "MEMORY", right: true},
			{title: "ADDRESS, LAST ERROR", flex: true},
		}
		var rows [][]string
		for _, d := range all {
			rows = append(rows, []string{d.Name, "", string(d.State), pid(d.Keeper), since(now, d.Started), "", "", "", d.Gateway})
			for _, x := range d.Wraps {
				name := x.Name
				if x.Instance > 1 { // as its logs name it
					name += "." + strconv.Itoa(x.Instance)
				}
				rows = append(rows, []string{
					"", name, string(x.State), pid(x.PID), since(now, x.Since), startTime(x.StartMS), strconv.Itoa(x.Restarts), memory(x.Memory), x.LastError,
				})
			}
		}
		printTable(w, s, columns, rows)
		for _, d := range all {
			for _, n := range d.Notes {
				printf(w, "%s\n", s.dim("note: "+wrapped(d.Name+": "+n, len("note: "))))
			}
		}
	}
}

// startTime is how long a wrap took to be ready.
func startTime(ms float64) string {
	if ms == 0 {
		return "·"
	}
	return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
}

func pid(n int) string {
	if n == 0 {
		return "·"
	}
	return strconv.Itoa(n)
}

func memory(n int64) string {
	if n == 0 {
		return "·"
	}
	return bytesText(n)
}

// since writes the time from then to now in its two largest units: "3h12m".
func since(now, then time.Time) string {
	if then.IsZero() {
		return "·"
	}
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

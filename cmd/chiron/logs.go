package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
)

func newLogs(a *app) *cobra.Command {
	var o deploy.LogOptions
	at := targetFlags{}
	var since time.Duration
	var tail int
	cmd := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "Show what a deployment's functions printed and its wraps logged",
		Long: `Shows what the functions of a deployment printed, and what its wraps logged.
Without a NAME, those of the one deployment that there is.`,
		Example: "  chiron logs finra-5 --tail 20\n  chiron logs finra-5 --follow --function volume",
		Args:    atMostOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case since < 0:
				return usagef("--since %v: give a positive duration, such as 10m", since)
			case tail < 0:
				return usagef("--tail %d: give a positive number of lines, or 0 for all", tail)
			}
			o.Tail = tail
			if since > 0 {
				o.Since = time.Now().Add(-since)
			}
			target, err := at.chosen(a)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				found, err := target.List(cmd.Context())
				if err != nil {
					return err
				}
				for _, d := range found {
					args = append(args, d.Name)
				}
				if len(args) != 1 {
					return at.chooseOne(args)
				}
			}
			buffered := bufio.NewWriter(a.out)
			s := a.style(a.out)
			err = target.Logs(cmd.Context(), args[0], o, func(l deploy.LogLine) error {
				if a.output == jsonOutput {
					if err := json.NewEncoder(buffered).Encode(l); err != nil {
						return err
					}
				} else {
					printf(buffered, "%s\n", logText(s, l))
				}
				if o.Follow {
					return buffered.Flush() // somebody watches
				}
				return nil
			})
			if failed := buffered.Flush(); err == nil && failed != nil {
				err = fmt.Errorf("write the log: %w", failed)
			}
			if err != nil {
				return at.explained(args[0], err)
			}
			return nil
		},
	}
	at.add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "wait for more")
	flags.StringVar(&o.Function, "function", "", "only what this `function` printed")
	flags.StringSliceVar(&o.Wraps, "wrap", nil, "only these `wraps`")
	flags.IntVar(&tail, "tail", 0, "only the last `lines`; 0: all")
	flags.DurationVar(&since, "since", 0, "only what is not older than this")
	return cmd
}

// logText is a line of a log for people: when, who, what.
func logText(s style, l deploy.LogLine) string {
	who := l.Wrap
	if l.Function != "" {
		who += "/" + l.Function
	}
	text := printable(l.Text)
	if l.Level == "ERROR" || l.Stream == "stderr" {
		text = s.bad(text)
	}
	if len(l.Attrs) > 0 && l.Stream == "" { // the agent's own words
		text += " " + s.dim(string(l.Attrs))
	}
	return s.dim(l.Time.Local().Format("15:04:05.000")) + " " + s.accent(who) + " " + text
}

// printable shows control characters as Go writes them, tabs aside: what a function
// prints must not move a terminal's cursor or forge its lines.
func printable(text string) string {
	control := func(r rune) bool { return r != '\t' && unicode.IsControl(r) || r == utf8.RuneError }
	if !strings.ContainsFunc(text, control) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case control(r):
			quoted := strconv.Quote(text[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

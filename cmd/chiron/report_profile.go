package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chiron-faas/chiron/profile"
)

// textProfile is a table of the functions, and for each its periods in order.
func textProfile(p *profile.Profile, file string) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s\n", s.bold(fmt.Sprintf("Profile of %s: %s", p.Workflow, count(len(p.Functions), "function"))))
		printProfile(w, s, p)
		if file != "" {
			printf(w, "\nwritten to %s\n", file)
		}
	}
}

func printProfile(w io.Writer, s style, p *profile.Profile) {
	columns := []column{
		{title: "FUNCTION", flex: true},
		{title: "WALL ms", right: true},
		{title: "±", right: true},
		{title: "p99", right: true},
		{title: "cpu", right: true},
		{title: "native", right: true},
		{title: "block", right: true},
		{title: "cold", right: true},
		{title: "MEMORY", right: true},
		{title: "RUNS", right: true},
	}
	var rows [][]string
	times := make(map[string]int) // that a function was measured
	for i := range p.Functions {
		times[p.Functions[i].Name]++
	}
	for i := range p.Functions {
		f := &p.Functions[i]
		sum := make(map[profile.Class]time.Duration)
		for _, q := range f.Periods {
			sum[q.Class] += q.Mean
		}
		name := f.Name
		if times[f.Name] > 1 && len(f.Tasks) > 0 { // with different inputs
			name += " (" + f.Tasks[0] + ")"
		}
		if n := len(f.Tasks); n > 1 {
			name = fmt.Sprintf("%s ×%d", name, n)
		}
		rows = append(rows, []string{
			name, ms(f.Wall.Mean), ms(f.Wall.StdDev), ms(f.Wall.P99),
			share(sum[profile.CPU]), share(sum[profile.Native]), share(sum[profile.Block]),
			ms(f.Cold.Mean), bytesText(f.Memory.Alone()), fmt.Sprint(f.Runs),
		})
	}
	printTable(w, s, columns, rows)
	printPeriods(w, s, p, rows)
	seen := make(map[string]bool)
	for i := range p.Functions {
		for _, n := range p.Functions[i].Notes {
			if !seen[n] { // the same for all functions, mostly
				seen[n] = true
				printf(w, "%s\n", s.dim("note: "+wrapped(p.Functions[i].Name+": "+n, len("note: "))))
			}
		}
	}
}

func share(d time.Duration) string {
	if d == 0 {
		return "·"
	}
	return ms(d)
}

// longestName of a function before its periods, characters.
const longestName = 24

// printPeriods writes what each function does in order: "cpu 0.20, read 10.1,
// cpu 0.03". rows are the table's, whose names are used.
func printPeriods(w io.Writer, s style, p *profile.Profile, rows [][]string) {
	indent := 0
	for _, row := range rows {
		indent = max(indent, min(utf8.RuneCountInString(row[0]), longestName)+gap)
	}
	printf(w, "%s\n", s.dim("what each does in order, ms"))
	for i := range p.Functions {
		name := fit(rows[i][0], longestName)
		printf(w, "%s%s\n", pad(name, indent, utf8.RuneCountInString(name)), wrapped(periods(p.Functions[i].Periods), indent))
	}
}

// shownPeriods of one function at most; the rest is summed up.
const shownPeriods = 12

func periods(all []profile.Period) string {
	var parts []string
	for i, p := range all {
		if i == shownPeriods-1 && len(all) > shownPeriods {
			var rest time.Duration
			for _, q := range all[i:] {
				rest += q.Mean
			}
			parts = append(parts, fmt.Sprintf("%d more %s", len(all)-i, ms(rest)))
			break
		}
		name := string(p.Class)
		if p.Class == profile.Block && p.Cause != "" {
			name = p.Cause
		}
		parts = append(parts, name+" "+ms(p.Mean))
	}
	return strings.Join(parts, ", ")
}

// count writes a number with its noun: "1 function", "5 functions".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

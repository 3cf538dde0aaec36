package plan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Tree draws the plan for people: wraps, their processes, their tasks. No line
// is longer than width characters unless a name is; a process's tasks go on
// over as many lines as they need.
//
//	finra-5 · chiron · 2 wraps, 3 CPUs
//	├─ wrap-1 · 2 CPUs
//	│  ├─ pool on CPU 0 · MarketData, LastPrice
//	│  └─ fork · Side, TradeDate, Volume
//	└─ wrap-2 · 1 CPU, 128 MB
//	   └─ pool, switches every 1ms · MarginBalance
func (p *Plan) Tree(width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s · %s · %s, %s", p.Workflow, p.Model, count(len(p.Wraps), "wrap"), count(p.CPUs(), "CPU"))
	if p.Calls == ThroughGateway {
		b.WriteString(", called through the gateway")
	}
	b.WriteByte('\n')
	for i, w := range p.Wraps {
		branch, indent := "├─ ", "│  "
		if i == len(p.Wraps)-1 {
			branch, indent = "└─ ", "   "
		}
		fmt.Fprintf(&b, "%s%s · %s", branch, w.Name, count(w.CPUs, "CPU"))
		if w.Memory > 0 {
			fmt.Fprintf(&b, ", %d MB", (w.Memory+999_999)/1_000_000)
		}
		if w.Concurrency > 0 {
			fmt.Fprintf(&b, ", %s at once", count(w.Concurrency, "request"))
		}
		b.WriteByte('\n')
		for k, process := range w.Processes {
			branch, rest := "├─ ", "│  "
			if k == len(w.Processes)-1 {
				branch, rest = "└─ ", "   "
			}
			head := process.describe() + " · "
			blank := indent + rest + strings.Repeat(" ", utf8.RuneCountInString(head))
			writeList(&b, indent+branch+head, blank, process.Tasks, width)
		}
	}
	return b.String()
}

// describe is everything of a process but its tasks.
func (process Process) describe() string {
	s := string(process.Mode)
	if process.CPU != Unpinned {
		s += fmt.Sprintf(" on CPU %d", process.CPU)
	}
	if process.Ready != 0 {
		s += fmt.Sprintf(", %d ready", process.Ready)
	}
	if process.Uses != 0 {
		s += fmt.Sprintf(", %d uses", process.Uses)
	}
	if process.SwitchInterval != 0 {
		s += fmt.Sprintf(", switches every %v", process.SwitchInterval)
	}
	return s
}

// writeList writes items behind first, and behind rest where a line is full.
func writeList(b *strings.Builder, first, rest string, items []string, width int) {
	b.WriteString(first)
	column := utf8.RuneCountInString(first)
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		n := utf8.RuneCountInString(item)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + rest)
			column = utf8.RuneCountInString(rest)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(item)
		column += n
	}
	b.WriteByte('\n')
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/wrap"
)

// printTrace shows on standard error when each task of a request ran.
func (a *app) printTrace(answer *pipeline.Answer) error {
	var spans []wrap.Span
	if err := json.Unmarshal([]byte(answer.Trace), &spans); err != nil {
		return fmt.Errorf("read the answer's trace: %w", err)
	}
	var end int64
	for _, s := range spans {
		end = max(end, s.EndUS)
	}
	columns := []column{
		{title: "TASK", flex: true},
		{title: "WRAP"},
		{title: "PROCESS", right: true},
		{title: "START ms", right: true},
		{title: "END ms", right: true},
		{title: "RUN ms", right: true},
		{title: "CPU ms", right: true},
		{title: ""},
	}
	var rows [][]string
	for _, s := range spans {
		us := func(n int64) string { return ms(time.Duration(n) * time.Microsecond) }
		rows = append(rows, []string{
			s.Task, s.Wrap, fmt.Sprint(s.Process), us(s.StartUS), us(s.EndUS), us(s.RunUS), us(s.CPUUS), bar(s.StartUS, s.EndUS, end, 24),
		})
	}
	printTable(a.err, a.style(a.err), columns, rows)
	return nil
}

// bar draws the stretch from start to end of a whole, n characters long.
func bar(start, end, whole int64, n int) string {
	if whole <= 0 {
		return ""
	}
	from := min(int(start*int64(n)/whole), n-1)
	to := max(int((end*int64(n)+whole-1)/whole), from+1)
	return strings.Repeat(" ", from) + strings.Repeat("█", min(to, n)-from)
}

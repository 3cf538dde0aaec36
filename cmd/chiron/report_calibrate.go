package main

import (
	"fmt"
	"io"

	"github.com/chiron-faas/chiron/pipeline"
)

// textCalibration is a table of the constants, and of the predictions made with
// them.
func textCalibration(c *pipeline.Calibrated) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		m := c.Constants.Machine
		printf(w, "%s\n", s.bold(fit(fmt.Sprintf("Constants of %s, %s, Python %s", m.CPUModel, count(m.CPUs, "CPU"), c.Constants.Version), width)))
		var rows [][]string
		for _, k := range c.Report.Constants {
			rows = append(rows, []string{k.Name, k.Symbol, fmt.Sprintf("%.3f", float64(k.Value)/1e6), fmt.Sprintf("%.3f", float64(k.Spread)/1e6), k.How})
		}
		printTable(w, s, []column{
			{title: "CONSTANT"}, {title: "PAPER"}, {title: "ms", right: true}, {title: "spread", right: true}, {title: "", flex: true},
		}, rows)
		if knots := c.Constants.Spread; len(knots) > 0 {
			at := func(percent int) float64 { return knots[percent*(len(knots)-1)/100] }
			printf(w, "a request costs %.2f times these at p10, %.2f at p90, %.2f at p99\n", at(10), at(90), at(99))
			printf(w, "functions of a request are slow together: rank correlation %.2f\n", c.Constants.Together)
		}
		printf(w, "CPU time of an agent for a call: %s ms; CPUs that compute beside each other take %.1f %% longer each\n", ms(c.Constants.Agent), 100*c.Constants.Beside)
		if len(c.Report.Checks) > 0 {
			printf(w, "\n%s\n", s.bold("Predictions made with them"))
			rows = nil
			for _, k := range c.Report.Checks {
				kind := "predicted"
				if k.Fitted {
					kind = "fitted"
				}
				rows = append(rows, []string{k.Shape, ms(k.Predicted), ms(k.Measured), fmt.Sprintf("%+.1f %%", 100*k.Error()), kind})
			}
			printTable(w, s, []column{
				{title: "WORKFLOW", flex: true}, {title: "PREDICTED ms", right: true}, {title: "MEASURED ms", right: true}, {title: "ERROR", right: true}, {title: ""},
			}, rows)
		}
		for _, n := range c.Report.Notes {
			printf(w, "%s\n", s.dim("note: "+wrapped(n, len("note: "))))
		}
		printf(w, "\nwritten to %s in %.1f s\n", c.File, c.Report.Took.Seconds())
	}
}

// textRecalibration says what calls between wraps cost by what was seen.
func textRecalibration(r *pipeline.Recalibrated) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s\n", s.bold(fit(fmt.Sprintf("T_RPC by %s of %s", count(r.Seen, "call"), r.From), width)))
		var rows [][]string
		for _, p := range r.Peers {
			rows = append(rows, []string{r.Wrap + " → " + p.Wrap, fmt.Sprint(p.Seen), fmt.Sprintf("%.3f", p.OverheadUS/1e3), fmt.Sprintf("%.3f", p.MedianUS/1e3), fmt.Sprintf("%.3f", p.P99US/1e3)})
		}
		printTable(w, s, []column{
			{title: "CALLS", flex: true}, {title: "SEEN", right: true}, {title: "ms", right: true}, {title: "median", right: true}, {title: "p99", right: true},
		}, rows)
		printf(w, "T_RPC was %.3f ms and is %.3f ms, written to %s: plan again to count with it\n", r.Before, r.After, r.File)
	}
}

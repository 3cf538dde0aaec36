package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/chiron-faas/chiron/profile"
)

// textDiff says what changed since the profile in a file, function by function;
// the machine first, for figures of another one are not to be compared.
func textDiff(d *profile.Diff, workflow, file string) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s\n", s.bold(fmt.Sprintf("Profile of %s: what changed since %s", workflow, file)))
		if d.Machine != "" {
			printf(w, "%s\n", wrapped("note: the older profile is from "+d.Machine+": its times are not those of this one", 0))
		}
		for i := range d.Functions {
			printFunctionDiff(w, s, &d.Functions[i])
		}
		switch {
		case len(d.Functions) == 0:
			printf(w, "nothing beyond noise, of %s\n", count(d.Unchanged, "function"))
		case d.Unchanged > 0:
			printf(w, "%s\n", s.dim(fmt.Sprintf("%s: nothing beyond noise", count(d.Unchanged, "other function"))))
		}
	}
}

func printFunctionDiff(w io.Writer, s style, f *profile.FunctionDiff) {
	name := f.Name
	if n := len(f.Tasks); n > 1 {
		name = fmt.Sprintf("%s ×%d", name, n)
	}
	switch f.Status {
	case profile.Added:
		printf(w, "%s: new\n", s.bold(name))
		return
	case profile.Removed:
		printf(w, "%s: gone\n", s.bold(name))
		return
	}
	printf(w, "%s\n", s.bold(name))
	for _, c := range f.Conditions {
		printf(w, "  measured otherwise: %s\n", c)
	}
	var rows [][]string
	for _, c := range f.Changes {
		show := func(x float64) string { return bytesText(int64(x)) }
		if c.Unit == "ms" {
			show = func(x float64) string { return fmt.Sprintf("%.3g ms", x) }
		}
		rows = append(rows, []string{"  " + c.What, show(c.Before), show(c.After), change(c), "±" + show(c.Noise)})
	}
	if len(rows) > 0 {
		printTable(w, s, []column{
			{title: ""}, {title: "BEFORE", right: true}, {title: "NOW", right: true}, {title: "CHANGE", right: true}, {title: "NOISE", right: true},
		}, rows)
	}
	for _, i := range f.Items {
		sign := "+"
		if i.Gone {
			sign = "-"
		}
		printf(w, "  %s %s: %s\n", sign, i.Kind, fit(i.Item, width-len(i.Kind)-6))
	}
}

// change in percent, or times where that reads better.
func change(c profile.Change) string {
	r := c.Relative()
	switch {
	case math.IsInf(r, 0) || math.IsNaN(r):
		return "new"
	case c.After == 0:
		return "gone"
	case r >= 2:
		return fmt.Sprintf("×%.1f", 1+r)
	}
	return strings.Replace(fmt.Sprintf("%+.0f %%", 100*r), "-", "−", 1)
}

package profile

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// What counts as a change.
const (
	// MinChange is the least difference of a time or a size that is worth a
	// word, as a part of the old one; one of times must also exceed what chance
	// explains in 95 of 100 cases.
	MinChange = 0.02
	// MinMemoryChange is the same of memory, bytes: less is the chance of page
	// faults and of the allocator.
	MinMemoryChange = 512 << 10
	// periodRuns is how many runs told the classes apart, at most: the traced
	// ones (tracedRuns of profile/profiler), of which a profile keeps no count.
	periodRuns = 10
)

// Diff is what changed between two profiles beyond noise.
type Diff struct {
	// Machine says in which way the figures are not comparable: "another CPU
	// (A, not B)"; empty where they are.
	Machine string `json:"machine,omitempty"`
	// Functions that changed, came or went, in the new profile's order, gone
	// ones last; those that did not are only counted.
	Functions []FunctionDiff `json:"functions"`
	Unchanged int            `json:"unchanged"`
}

// FunctionDiff is what changed of one function.
type FunctionDiff struct {
	Name  string   `json:"name"`
	Tasks []string `json:"tasks"`
	// Status is "changed", "added" or "removed".
	Status string `json:"status"`
	// Conditions of the measurement that differ, in words: interpreter, tracer,
	// input.
	Conditions []string `json:"conditions,omitempty"`
	Changes    []Change `json:"changes,omitempty"`
	// Items that came or went: periods, files, sockets.
	Items []ItemChange `json:"items,omitempty"`
}

// The statuses of a FunctionDiff.
const (
	Changed = "changed"
	Added   = "added"
	Removed = "removed"
)

// Change is a figure that changed.
type Change struct {
	// What: "wall", "cpu", "native", "block", "memory of imports", …
	What string `json:"what"`
	// Unit of the figures: "ms" or "bytes".
	Unit   string  `json:"unit"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	// Noise is the largest difference that would not have counted.
	Noise float64 `json:"noise"`
}

// Relative is the difference as a part of the old figure; +Inf where that is 0.
func (c Change) Relative() float64 { return (c.After - c.Before) / c.Before }

// ItemChange is an item of a list that came or went.
type ItemChange struct {
	// Kind: "period", "file", "socket".
	Kind string `json:"kind"`
	Item string `json:"item"`
	// Gone says that only the old profile has it; else only the new one.
	Gone bool `json:"gone"`
}

// Compare says what changed from one profile to another. Functions are the same
// where they have the same name and a task in common, else where they have the
// same name. First calls are not compared: there is one of each.
func Compare(before, after *Profile) *Diff {
	d := &Diff{Machine: before.Machine.Difference(after.Machine), Functions: []FunctionDiff{}}
	partner := pair(before, after)
	used := map[int]bool{}
	for i := range after.Functions {
		f := &after.Functions[i]
		j := partner[i]
		if j < 0 {
			d.Functions = append(d.Functions, FunctionDiff{Name: f.Name, Tasks: f.Tasks, Status: Added})
			continue
		}
		used[j] = true
		if c := compareFunctions(&before.Functions[j], f); c != nil {
			d.Functions = append(d.Functions, *c)
		} else {
			d.Unchanged++
		}
	}
	for j := range before.Functions {
		if f := &before.Functions[j]; !used[j] {
			d.Functions = append(d.Functions, FunctionDiff{Name: f.Name, Tasks: f.Tasks, Status: Removed})
		}
	}
	return d
}

// pair finds for each function of after that of before, -1: none.
func pair(before, after *Profile) []int {
	partner := make([]int, len(after.Functions))
	used := map[int]bool{}
	match := func(same func(a, b *Function) bool) {
		for i := range partner {
			for j := range before.Functions {
				if partner[i] < 0 && !used[j] && same(&before.Functions[j], &after.Functions[i]) {
					partner[i], used[j] = j, true
				}
			}
		}
	}
	for i := range partner {
		partner[i] = -1
	}
	match(func(a, b *Function) bool {
		return a.Name == b.Name && slices.ContainsFunc(a.Tasks, func(t string) bool { return slices.Contains(b.Tasks, t) })
	})
	match(func(a, b *Function) bool { return a.Name == b.Name })
	return partner
}

// compareFunctions returns nil where nothing changed beyond noise.
func compareFunctions(a, b *Function) *FunctionDiff {
	d := &FunctionDiff{Name: b.Name, Tasks: b.Tasks, Status: Changed}
	for _, c := range []struct{ what, was, is string }{
		{"interpreter", a.Lang + " " + a.Version, b.Lang + " " + b.Version},
		{"tracer", a.Tracer, b.Tracer},
		{"input", fmt.Sprintf("%d bytes", a.InputBytes), fmt.Sprintf("%d bytes", b.InputBytes)},
		{"output", fmt.Sprintf("%d bytes", a.OutputBytes), fmt.Sprintf("%d bytes", b.OutputBytes)},
	} {
		if c.was != c.is {
			d.Conditions = append(d.Conditions, fmt.Sprintf("%s: %s, was %s", c.what, c.is, c.was))
		}
	}
	times := func(what string, x, y Stat, runsX, runsY int) {
		if noise := noiseOf(x, y, runsX, runsY); (x.Mean - y.Mean).Abs() > noise {
			d.Changes = append(d.Changes, Change{what, "ms", inMillis(x.Mean), inMillis(y.Mean), inMillis(noise)})
		}
	}
	times("wall", a.Wall, b.Wall, a.Runs, b.Runs)
	for _, class := range []Class{CPU, Native, Block} {
		times(string(class), classTotal(a, class), classTotal(b, class), min(a.Runs, periodRuns), min(b.Runs, periodRuns))
	}
	for _, m := range []struct {
		what     string
		was, now int64
	}{
		{"memory of imports", a.Memory.Imports.RSS, b.Memory.Imports.RSS},
		{"memory of calls", a.Memory.Calls.Private, b.Memory.Calls.Private},
		{"memory during a call", a.Memory.Transient, b.Memory.Transient},
	} {
		noise := max(MinChange*float64(m.was), MinMemoryChange)
		if math.Abs(float64(m.now-m.was)) > noise {
			d.Changes = append(d.Changes, Change{m.what, "bytes", float64(m.was), float64(m.now), noise})
		}
	}
	d.items("period", periodNames(a), periodNames(b), func(s step) bool { return s.share >= MinChange })
	d.items("file", named(a.Files), named(b.Files), func(step) bool { return true })
	d.items("socket", named(a.Sockets), named(b.Sockets), func(step) bool { return true })
	if len(d.Conditions)+len(d.Changes)+len(d.Items) == 0 {
		return nil
	}
	return d
}

// noiseOf is the largest difference of two means that does not count: half the
// 95 % confidence interval of the difference by Welch's t (unequal variances, the
// degrees of freedom by Welch and Satterthwaite), and at least MinChange.
func noiseOf(x, y Stat, n, m int) time.Duration {
	least := MinChange * float64(x.Mean)
	if n < 2 || m < 2 {
		// One run says nothing of its spread: nothing that is found is sure.
		return math.MaxInt64
	}
	u := float64(x.StdDev) * float64(x.StdDev) / float64(n)
	v := float64(y.StdDev) * float64(y.StdDev) / float64(m)
	if u+v == 0 {
		return time.Duration(least)
	}
	freedom := (u + v) * (u + v) / (u*u/float64(n-1) + v*v/float64(m-1))
	return time.Duration(max(least, student95(max(1, int(freedom)))*math.Sqrt(u+v)))
}

// classTotal is what the periods of a class take together; their deviations are
// taken as independent.
func classTotal(f *Function, class Class) (s Stat) {
	var variance float64
	for _, p := range f.Periods {
		if p.Class == class {
			s.Mean += p.Mean
			variance += float64(p.StdDev) * float64(p.StdDev)
		}
	}
	s.StdDev = time.Duration(math.Sqrt(variance))
	return s
}

func inMillis(d time.Duration) float64 { return float64(d) / 1e6 }

// step is an item of a list: a period with its part of the wall time, a file.
type step struct {
	name  string
	share float64
}

func periodNames(f *Function) []step {
	steps := make([]step, len(f.Periods))
	for i, p := range f.Periods {
		name := string(p.Class)
		if p.Cause != "" {
			name += " " + p.Cause
		}
		steps[i] = step{name, float64(p.Mean) / float64(max(1, f.Wall.Mean))}
	}
	return steps
}

func named(names []string) []step {
	steps := make([]step, len(names))
	for i, n := range names {
		steps[i] = step{name: n}
	}
	return steps
}

// items notes what is in only one of two lists, by their longest common
// subsequence; what does not count is left out.
func (d *FunctionDiff) items(kind string, a, b []step, counts func(step) bool) {
	common := make([][]int, len(a)+1) // lengths, of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i].name == b[j].name {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	note := func(s step, gone bool) {
		if counts(s) {
			d.Items = append(d.Items, ItemChange{kind, s.name, gone})
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i].name == b[j].name:
			i++
			j++
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			note(a[i], true)
			i++
		default:
			note(b[j], false)
			j++
		}
	}
}

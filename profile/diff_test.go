package profile

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// steady is a function of 20 runs of 100 ± 2 ms.
func steady() *Profile {
	wall := Stat{Mean: 100 * ms, StdDev: 2 * ms, Min: 96 * ms, P50: 100 * ms, P99: 104 * ms, Max: 104 * ms}
	return &Profile{Workflow: "w", Machine: Machine{CPUModel: "A", CPUs: 2}, Functions: []Function{{
		Name: "f", Tasks: []string{"F"}, Lang: "python", Version: "3.11.7", Tracer: "strace", Runs: 20, Wall: wall, CPU: wall,
		Periods: []Period{
			{Class: CPU, Mean: 60 * ms, StdDev: ms}, {Class: Block, Cause: "read", Mean: 39 * ms, StdDev: ms}, {Class: CPU, Mean: ms, StdDev: ms},
		},
		Files: []string{"a", "b"}, Sockets: []string{"connect tcp 127.0.0.1:80"},
		Memory: Memory{Imports: Footprint{RSS: 20 << 20}},
	}}}
}

func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		change func(p *Profile)
		want   []string // what changed
	}{
		"nothing": {func(*Profile) {}, nil},
		// 1.5 ms are over 2.02·√(2·2²/20) = 1.28, but under 2 %.
		"under 2 %": {func(p *Profile) { p.Functions[0].Wall.Mean += 1500 * time.Microsecond }, nil},
		"over 2 %":  {func(p *Profile) { p.Functions[0].Wall.Mean += 2500 * time.Microsecond }, []string{"wall"}},
		"faster":    {func(p *Profile) { p.Functions[0].Wall.Mean -= 2500 * time.Microsecond }, []string{"wall"}},
		"within noise": {func(p *Profile) {
			p.Functions[0].Wall.Mean += 2500 * time.Microsecond
			p.Functions[0].Wall.StdDev = 20 * ms
		}, nil},
		"one run":      {func(p *Profile) { p.Functions[0].Wall.Mean *= 2; p.Functions[0].Runs = 1 }, nil},
		"waits longer": {func(p *Profile) { p.Functions[0].Periods[1].Mean += 10 * ms }, []string{"block"}},
		"a period more": {func(p *Profile) {
			p.Functions[0].Periods = slices.Insert(p.Functions[0].Periods, 1, Period{Class: Native, Mean: 3 * ms, StdDev: ms / 10})
		}, []string{"native", "period native"}},
		"a short period less": {func(p *Profile) { p.Functions[0].Periods = p.Functions[0].Periods[:2] }, nil},
		"another cause":       {func(p *Profile) { p.Functions[0].Periods[1].Cause = "fsync" }, []string{"period block read gone", "period block fsync"}},
		"files":               {func(p *Profile) { p.Functions[0].Files = []string{"b", "c"} }, []string{"file a gone", "file c"}},
		"sockets":             {func(p *Profile) { p.Functions[0].Sockets = nil }, []string{"socket connect tcp 127.0.0.1:80 gone"}},
		"memory":              {func(p *Profile) { p.Functions[0].Memory.Imports.RSS += 1 << 20 }, []string{"memory of imports"}},
		"a little memory":     {func(p *Profile) { p.Functions[0].Memory.Imports.RSS += 500 << 10 }, nil},
		"interpreter, tracer": {func(p *Profile) {
			p.Functions[0].Version, p.Functions[0].Tracer = "3.12.1", "portable"
		}, []string{"interpreter: python 3.12.1, was python 3.11.7", "tracer: portable, was strace"}},
		"another function": {func(p *Profile) { p.Functions[0].Name = "g" }, []string{"g added", "f removed"}},
		"another task":     {func(p *Profile) { p.Functions[0].Tasks = []string{"X"} }, nil},
		"another machine":  {func(p *Profile) { p.Machine.CPUs = 8 }, []string{"another number of CPUs (2, not 8)"}},
	} {
		t.Run(name, func(t *testing.T) {
			after := steady()
			test.change(after)
			d := Compare(steady(), after)
			var got []string
			if d.Machine != "" {
				got = append(got, d.Machine)
			}
			for _, f := range d.Functions {
				if f.Status != Changed {
					got = append(got, f.Name+" "+f.Status)
				}
				got = append(got, f.Conditions...)
				for _, c := range f.Changes {
					got = append(got, c.What)
				}
				for _, i := range f.Items {
					text := i.Kind + " " + i.Item
					if i.Gone {
						text += " gone"
					}
					got = append(got, text)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n%+v", diff, d)
			}
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two profiles of the same function differ only by chance: about one in twenty
// of their means may seem to have changed, fewer with the bound of 2 %.
func TestCompareOfNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	measure := func() *Profile {
		p := steady()
		walls := make([]time.Duration, 20)
		for i := range walls {
			walls[i] = time.Duration((100 + 10*random.NormFloat64()) * 1e6)
		}
		p.Functions[0].Wall = NewStat(walls)
		return p
	}
	const pairs = 2000
	seemed := 0
	for range pairs {
		if d := Compare(measure(), measure()); len(d.Functions) > 0 {
			seemed++
		}
	}
	if seemed < pairs/100 || seemed > pairs*7/100 {
		t.Errorf("%d of %d pairs seem to differ, want about 5 %%", seemed, pairs)
	}
}

func TestPairing(t *testing.T) {
	function := func(name string, tasks ...string) Function {
		f := steady().Functions[0]
		f.Name, f.Tasks = name, tasks
		return f
	}
	before := &Profile{Functions: []Function{function("f", "A"), function("f", "B", "C")}}
	after := &Profile{Functions: []Function{function("f", "C"), function("f", "A"), function("f", "D")}}
	if got := pair(before, after); !slices.Equal(got, []int{1, 0, -1}) {
		t.Errorf("%v", got)
	}
	if d := Compare(before, after); d.Unchanged != 2 || len(d.Functions) != 1 || !strings.Contains(d.Functions[0].Status, Added) {
		t.Errorf("%+v", d)
	}
}

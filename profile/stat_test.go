package profile

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewStat(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 100 … 1
	}
	for name, test := range map[string]struct {
		samples []time.Duration
		want    Stat
	}{
		"none": {nil, Stat{}},
		"one":  {[]time.Duration{5}, Stat{Mean: 5, Min: 5, P50: 5, P99: 5, Max: 5}},
		// Mean (2+4+4+4+5+5+7+9)/8 = 5; squares 9+1+1+1+0+0+4+16 = 32; √(32/7) = 2.14.
		"eight": {[]time.Duration{9, 2, 4, 5, 4, 7, 4, 5}, Stat{Mean: 5, StdDev: 2, Min: 2, P50: 4, P99: 9, Max: 9}},
		// Mean 50.5 rounds to 51 (away from zero); √(83325/99) = 29.01.
		"hundred": {hundred, Stat{Mean: 51, StdDev: 29, Min: 1, P50: 50, P99: 99, Max: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, NewStat(test.samples)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewStatIsValid(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		samples := make([]time.Duration, 1+random.IntN(40))
		for i := range samples {
			samples[i] = time.Duration(random.Int64N(1e9))
		}
		if s := NewStat(samples); s.fault() != nil {
			t.Fatalf("%v of %v: %v", s, samples, s.fault())
		}
	}
}

func TestStudent95(t *testing.T) {
	// From the usual table of Student's t.
	for df, want := range map[int]float64{1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 19: 2.093, 29: 2.045, 99: 1.984} {
		if got := student95(df); math.Abs(got-want)/want > 0.01 {
			t.Errorf("%d degrees of freedom: got %.4f, want %.3f", df, got, want)
		}
	}
}

func TestMeanError(t *testing.T) {
	// 2.262 · 3 / √10 / 100.
	if got, want := (Stat{Mean: 100, StdDev: 3}).MeanError(10), 0.02146; math.Abs(got-want) > 1e-4 {
		t.Errorf("got %.5f, want %.5f", got, want)
	}
	if !math.IsInf((Stat{Mean: 1}).MeanError(1), 1) {
		t.Error("one run tells the mean's error")
	}
	if (Stat{}).MeanError(10) != 0 {
		t.Error("a mean of 0 has an error")
	}
}

func TestCPUModel(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"x86":   {"processor\t: 0\nmodel name\t: Some  CPU @ 2GHz\nprocessor : 1\nmodel name : Other\n", "Some CPU @ 2GHz"},
		"arm":   {"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "ARM implementer 0x41 part 0xd0c"},
		"empty": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cpuModel(strings.NewReader(test.text)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestMachineDifference(t *testing.T) {
	m := Machine{CPUModel: "A", CPUs: 2, Kernel: "6.1", OS: "linux", Arch: "amd64"}
	for name, test := range map[string]struct {
		change func(*Machine)
		want   string
	}{
		"same":   {func(*Machine) {}, ""},
		"kernel": {func(o *Machine) { o.Kernel = "5.4" }, ""},
		"model":  {func(o *Machine) { o.CPUModel = "" }, "another CPU (A, not unknown)"},
		"number": {func(o *Machine) { o.CPUs = 8 }, "another number of CPUs (2, not 8)"},
		"arch":   {func(o *Machine) { o.Arch = "arm64" }, "another kind of machine (linux/amd64, not linux/arm64)"},
	} {
		t.Run(name, func(t *testing.T) {
			other := m
			test.change(&other)
			if got := m.Difference(other); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if this := ThisMachine(); this.CPUs < 1 || this.Arch == "" || this.Kernel == "" {
		t.Errorf("this machine is %+v", this)
	}
}

func TestNewWalls(t *testing.T) {
	few := []time.Duration{3, 1, 2}
	if diff := cmp.Diff([]time.Duration{1, 2, 3}, NewWalls(few)); diff != "" || few[0] != 3 {
		t.Errorf("%v: %s", few, diff)
	}
	// 1001 runs of 0 to 1000: every tenth.
	var many []time.Duration
	for i := range 1001 {
		many = append(many, time.Duration(1000-i))
	}
	walls := NewWalls(many)
	for i, w := range walls {
		if w != time.Duration(10*i) {
			t.Errorf("%d %%: %d", i, w)
		}
	}
	if len(walls) != MaxWalls {
		t.Errorf("%d of them", len(walls))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		samples := make([]time.Duration, 1+random.IntN(300))
		for i := range samples {
			samples[i] = time.Duration(random.Int64N(1e9))
		}
		f := Function{Runs: len(samples), Wall: NewStat(samples), Walls: NewWalls(samples)}
		if err := f.wallsFault(); err != nil {
			t.Fatal(err)
		}
	}
}

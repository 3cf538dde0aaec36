package predict

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew from what is predicted now")

// TestGolden holds the simulation against what it said before: the latency of
// random plans, and a checksum of their timelines. Who makes it faster changes
// nothing here; who changes what is simulated writes it anew with -update, and
// the difference says how many plans it is about.
func TestGolden(t *testing.T) {
	const file = "testdata/golden.txt"
	var b strings.Builder
	for seed := range uint64(400) {
		s := randomSample(t, rand.New(rand.NewPCG(seed, 6)))
		p := predictorOf(t, &s)
		got, err := p.Predict(s.plan)
		if err != nil {
			t.Fatal(err)
		}
		latency, err := p.Latency(s.plan)
		if err != nil || latency != got.Latency {
			t.Errorf("seed %d: %v, %v without the timeline, %v with it", seed, latency, err, got.Latency)
		}
		h := fnv.New32a()
		for _, span := range got.Timeline {
			fmt.Fprintln(h, span)
		}
		fmt.Fprintf(&b, "%d %d %08x\n", seed, int64(got.Latency), h.Sum32())
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./predict -update writes it", err)
	}
	before, now := strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")
	changed, first := 0, ""
	for i := range now {
		if i >= len(before) || before[i] != now[i] {
			if changed++; first == "" {
				first = now[i]
			}
		}
	}
	if changed > 0 || len(before) != len(now) {
		t.Errorf("%d of %d predictions changed, the first is now %q; -update writes them anew", changed, len(now)-1, first)
	}
}

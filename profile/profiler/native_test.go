package profiler

import (
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/portable"
)

// classes has a handler for each class, of some 20 ms, and one of all in a row.
var classes = map[string]string{
	"hash": `
import hashlib
def handle(req):
    end = __import__("time").thread_time() + 0.020
    while __import__("time").thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 8000)
    return req
`,
	"loop": `
import time
def handle(req):
    end = time.thread_time() + 0.020
    x = 0
    while time.thread_time() < end:
        for i in range(1000):
            x += i * i
    return req
`,
	"sleep": "import time\ndef handle(req):\n    time.sleep(0.020)\n    return req\n",
	"all": `
import hashlib, time
def handle(req):
    end = time.thread_time() + 0.010
    x = 0
    while time.thread_time() < end:
        for i in range(1000):
            x += i * i
    end = time.thread_time() + 0.020
    while time.thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 8000)
    time.sleep(0.010)
    return req
`,
}

// TestPortableTellsNative: the probe tells code that computes without the lock
// from code that holds it. Which is which must be right; how long, roughly: on a
// busy machine what computes waits for a CPU too, and takes any time, so it is
// judged by its shares of what is not slept.
func TestPortableTellsNative(t *testing.T) {
	p, err := Run(t.Context(), Options{
		Project: newProject(t, chain("Hash", "Loop", "Sleep", "All"), classes), Tracer: portable.Name, Runs: MinRuns,
	})
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	for i, want := range []struct {
		sleeps time.Duration
		awake  map[profile.Class][2]float64
	}{
		{0, map[profile.Class][2]float64{profile.Native: {0.7, 1}}},
		{0, map[profile.Class][2]float64{profile.CPU: {0.8, 1}}},
		{20 * ms, nil},
		{10 * ms, map[profile.Class][2]float64{profile.CPU: {0.15, 0.6}, profile.Native: {0.4, 0.85}}},
	} {
		f := p.Functions[i]
		took := map[profile.Class]time.Duration{}
		for _, period := range f.Periods {
			took[period.Class] += period.Mean
		}
		t.Logf("%s: wall %v, %v, notes %q", f.Name, f.Wall.Mean, f.Periods, f.Notes)
		// A timer may be early by what the tracer's clock is coarse, and is late.
		if got := took[profile.Block]; got < want.sleeps*9/10 || want.sleeps > 0 && got > 2*want.sleeps {
			t.Errorf("%s blocks for %v, want %v and a little", f.Name, got, want.sleeps)
		}
		for class, bounds := range want.awake {
			share := float64(took[class]) / float64(f.Wall.Mean-took[profile.Block])
			if share < bounds[0] || share > bounds[1] {
				t.Errorf("%s: %s is %.2f of what is not slept, want %.2f to %.2f", f.Name, class, share, bounds[0], bounds[1])
			}
		}
	}
}

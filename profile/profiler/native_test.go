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
// from code that holds it. Which is which must be right; how long, roughly: the
// machine may be busy.
func TestPortableTellsNative(t *testing.T) {
	p, err := Run(t.Context(), Options{
		Project: newProject(t, chain("Hash", "Loop", "Sleep", "All"), classes), Tracer: portable.Name, Runs: MinRuns,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[profile.Class][2]float64{
		{profile.Native: {0.7, 1}},
		{profile.CPU: {0.8, 1}},
		{profile.Block: {0.8, 1}},
		{profile.CPU: {0.1, 0.45}, profile.Native: {0.25, 0.7}, profile.Block: {0.1, 0.4}},
	} {
		f := p.Functions[i]
		took := map[profile.Class]time.Duration{}
		for _, period := range f.Periods {
			took[period.Class] += period.Mean
		}
		t.Logf("%s: wall %v, %v", f.Name, f.Wall.Mean, f.Periods)
		for class, bounds := range want {
			share := float64(took[class]) / float64(f.Wall.Mean)
			if share < bounds[0] || share > bounds[1] {
				t.Errorf("%s: %s is %.2f of it, want %.2f to %.2f; periods %v, notes %q", f.Name, class, share, bounds[0], bounds[1], f.Periods, f.Notes)
			}
		}
	}
}

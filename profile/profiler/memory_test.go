package profiler

import (
	"os"
	"testing"

	"github.com/chiron-faas/chiron/profile/portable"
)

// hoarder holds 16 MB from its import on, and 8 MB more from its first call; a
// call uses 32 MB for itself.
const hoarder = `
table = bytearray(b"x") * (16 << 20)
kept = []

def handle(req):
    if not kept:
        kept.append(bytearray(b"y") * (8 << 20))
    bytearray(b"z") * (32 << 20)
    return req
`

// TestMemory: what a function holds is told apart by when it came, to a
// megabyte.
func TestMemory(t *testing.T) {
	p, err := Run(t.Context(), Options{
		Project: newProject(t, chain("Hoarder"), map[string]string{"hoarder": hoarder}),
		Tracer:  portable.Name, Runs: MinRuns,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Functions[0].Memory
	const mb = 1 << 20
	for _, test := range []struct {
		what     string
		got      int64
		from, to int64 // MiB
	}{
		{"host", m.Host.RSS, 4, 40},
		{"host, private", m.Host.Private, 1, 40},
		{"worker", m.Worker.Private, 0, 8},
		{"imports", m.Imports.RSS, 15, 18},
		{"imports, private", m.Imports.Private, 15, 18},
		{"imports, PSS", m.Imports.PSS, 15, 18},
		{"calls, private", m.Calls.Private, 7, 10},
		// It falls when other interpreters start meanwhile, by what they share.
		{"calls, PSS", m.Calls.PSS, 6, 10},
		{"transient", m.Transient, 31, 33},
		{"alone", m.Alone(), 55, 60},
	} {
		if test.got < test.from*mb || test.got > test.to*mb {
			t.Errorf("%s: %.2f MiB, want %d to %d", test.what, float64(test.got)/mb, test.from, test.to)
		}
	}
}

func TestFootprint(t *testing.T) {
	f, err := footprint(os.Getpid())
	if err != nil || f.Private < 1<<20 || f.PSS < f.Private || f.RSS < f.PSS {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := footprint(1 << 28); err == nil {
		t.Error("a process that is not there has memory")
	}
}

package model

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

func TestBuild(t *testing.T) {
	d := predicttest.Define(t, predicttest.Seq{"first", predicttest.Par{"a", predicttest.Seq{"b1", "b2"}, "c", "d", "e", "f"}, predicttest.Par{"g", predicttest.Seq{"h", predicttest.Par{"i", "j"}}}, "last"})
	for m, want := range map[Model]string{
		OneToOne: `
w · one-to-one · 13 wraps, 13 CPUs, called through the gateway
├─ wrap-1 · 1 CPU
│  └─ pool on CPU 0 · first
├─ wrap-2 · 1 CPU
│  └─ pool on CPU 0 · a
├─ wrap-3 · 1 CPU
│  └─ pool on CPU 0 · b1
├─ wrap-4 · 1 CPU
│  └─ pool on CPU 0 · b2
├─ wrap-5 · 1 CPU
│  └─ pool on CPU 0 · c
├─ wrap-6 · 1 CPU
│  └─ pool on CPU 0 · d
├─ wrap-7 · 1 CPU
│  └─ pool on CPU 0 · e
├─ wrap-8 · 1 CPU
│  └─ pool on CPU 0 · f
├─ wrap-9 · 1 CPU
│  └─ pool on CPU 0 · g
├─ wrap-10 · 1 CPU
│  └─ pool on CPU 0 · h
├─ wrap-11 · 1 CPU
│  └─ pool on CPU 0 · i
├─ wrap-12 · 1 CPU
│  └─ pool on CPU 0 · j
└─ wrap-13 · 1 CPU
   └─ pool on CPU 0 · last`,
		SAND: `
w · sand · 1 wrap, 7 CPUs
└─ wrap-1 · 7 CPUs
   ├─ fork on CPU 0 · first, a, g, last
   ├─ fork on CPU 1 · b1, h
   ├─ fork on CPU 2 · b2, i
   ├─ fork on CPU 3 · c, j
   ├─ fork on CPU 4 · d
   ├─ fork on CPU 5 · e
   └─ fork on CPU 6 · f`,
		Faastlane: `
w · faastlane · 1 wrap, 6 CPUs
└─ wrap-1 · 6 CPUs
   ├─ pool on CPU 0 · first, last
   ├─ fork on CPU 0 · a, g
   ├─ fork on CPU 1 · b1, b2, h
   ├─ fork on CPU 2 · c, i
   ├─ fork on CPU 3 · d, j
   ├─ fork on CPU 4 · e
   └─ fork on CPU 5 · f`,
		FaastlaneT: `
w · faastlane-t · 1 wrap, 1 CPU
└─ wrap-1 · 1 CPU
   └─ pool on CPU 0 · first, a, b1, b2, c, d, e, f, g, h, i, j, last`,
		FaastlanePlus: `
w · faastlane+ · 2 wraps, 6 CPUs
├─ wrap-1 · 5 CPUs
│  ├─ pool on CPU 0 · first, last
│  ├─ fork on CPU 0 · a, g
│  ├─ fork on CPU 1 · b1, b2, h
│  ├─ fork on CPU 2 · c, i
│  ├─ fork on CPU 3 · d, j
│  └─ fork on CPU 4 · e
└─ wrap-2 · 1 CPU
   └─ fork on CPU 0 · f`,
		FaastlaneP: `
w · faastlane-p · 1 wrap, 6 CPUs
└─ wrap-1 · 6 CPUs
   ├─ pool on CPU 0 · first, last, a, g
   ├─ pool on CPU 1 · b1, b2, h
   ├─ pool on CPU 2 · c, i
   ├─ pool on CPU 3 · d, j
   ├─ pool on CPU 4 · e
   └─ pool on CPU 5 · f`,
	} {
		t.Run(string(m), func(t *testing.T) {
			p, err := Build(m, Input{Workflow: "w", Definition: d})
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Check(p, d, nil, nil); err != nil {
				t.Error(err)
			}
			if got := strings.TrimSpace(p.Tree(100)); got != strings.TrimSpace(want) {
				t.Errorf("plan:\n%s\nwant:%s", got, want)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	d := predicttest.Define(t, predicttest.Par{"a", "b"})
	if _, err := Build("nonsense", Input{Definition: d}); err == nil || !strings.Contains(err.Error(), "faastlane-t") {
		t.Errorf("an unknown model: error %v, want one that lists the models", err)
	}
	// Two functions that write the same file may not share a wrap.
	both := workflowOfTwo(t)
	measured := &profile.Profile{Functions: []profile.Function{
		{Name: "f", Tasks: []string{"a"}, Files: []string{"/tmp/x"}, Periods: []profile.Period{{Class: profile.CPU, Mean: time.Millisecond}}},
		{Name: "g", Tasks: []string{"b"}, Files: []string{"/tmp/x"}},
	}}
	for _, m := range All() {
		_, err := Build(m, Input{Definition: both, Profile: measured})
		if conflict := errors.Is(err, ErrConflict); conflict == (m == OneToOne) {
			t.Errorf("%s: error %v", m, err)
		}
	}
}

func workflowOfTwo(t *testing.T) *workflow.Definition {
	t.Helper()
	d, err := workflow.ParseDefinition("w.asl.json", []byte(`{"StartAt": "p", "States": {"p": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "f", "End": true}}},
		{"StartAt": "b", "States": {"b": {"Type": "Task", "Resource": "g", "End": true}}}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

package wrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// writePlanFolder makes the folder of a plan.
func writePlanFolder(t *testing.T, definition string, wraps ...plan.Wrap) (string, *plan.Plan) {
	t.Helper()
	p := &plan.Plan{Workflow: "other", Model: "test", Wraps: wraps}
	var text bytes.Buffer
	if err := p.Encode(&text); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, plan.PlanFile), text.Bytes(), 0o644), os.WriteFile(filepath.Join(dir, plan.DefinitionFile), []byte(definition), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	return dir, p
}

// TestAssign: what is wrong with a plan's folder, or with the bundle for it, is said
// in one line before anything is started.
func TestAssign(t *testing.T) {
	bundle := t.TempDir()
	var manifest bytes.Buffer
	m := &plan.Manifest{PlanID: "built", Wrap: "wrap-1", Lang: "python", Runtime: "3.12", Concurrency: 3}
	for _, f := range []string{"a", "b", "c"} {
		m.Functions = append(m.Functions, plan.ManifestFunction{Name: f, File: "functions/" + f + "/handler.py"})
	}
	if err := errors.Join(m.Encode(&manifest), os.WriteFile(filepath.Join(bundle, "wrap.json"), manifest.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	two := func(second ...string) []plan.Wrap {
		return []plan.Wrap{
			{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{pool1("A")}},
			{Name: "wrap-2", CPUs: 1, Processes: []plan.Process{pool1(second...)}},
		}
	}
	tasks := sequence("A", "B")
	good, p := writePlanFolder(t, tasks, two("B")...)
	b, err := readBundle(Options{Dir: bundle, PlanDir: good, Wrap: "wrap-2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.manifest; b.wrap != 1 || got.Wrap != "wrap-2" || got.PlanID != p.Digest() || len(got.Functions) != 1 || got.Functions[0].Name != "b" ||
		got.Lang != "python" || got.Runtime != "3.12" || got.Concurrency != 0 {
		t.Errorf("wrap %d, %+v", b.wrap, got)
	}

	foreign, _ := writePlanFolder(t, sequence("A", "Z"), two("Z")...)
	changed, _ := writePlanFolder(t, tasks, two("Z")...)
	partial, _ := writePlanFolder(t, sequence("A", "B", "C"), two("B")...)
	half := func(file, text string) string {
		dir, _ := writePlanFolder(t, tasks, two("B")...)
		path := filepath.Join(dir, file)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no such wrap":      {Options{PlanDir: good, Wrap: "wrap-3"}, `the plan has no wrap "wrap-3": choose one of wrap-1, wrap-2`},
		"no folder":         {Options{PlanDir: good + "/no", Wrap: "wrap-1"}, "there is no plan folder " + good + "/no: give the folder that has plan.json"},
		"a file":            {Options{PlanDir: good + "/plan.json", Wrap: "wrap-1"}, "is no plan folder, but a file"},
		"no plan":           {Options{PlanDir: half(plan.PlanFile, ""), Wrap: "wrap-1"}, "has no plan.json: give"},
		"no definition":     {Options{PlanDir: half(plan.DefinitionFile, ""), Wrap: "wrap-1"}, "has no workflow.asl.json: give"},
		"half a plan":       {Options{PlanDir: half(plan.PlanFile, `{"apiVersion":"chiron/v1","wraps":[{`), Wrap: "wrap-1"}, "plan.json: it is truncated after 36 bytes"},
		"another version":   {Options{PlanDir: half(plan.PlanFile, `{"apiVersion":"chiron/v9"}`), Wrap: "wrap-1"}, `its apiVersion is "chiron/v9"`},
		"half a definition": {Options{PlanDir: half(plan.DefinitionFile, tasks[:40]), Wrap: "wrap-1"}, "workflow.asl.json:"},
		"function missing": {
			Options{PlanDir: foreign, Wrap: "wrap-2"},
			`wrap "wrap-2" runs task "Z", whose function "z" is not in bundle ` + bundle + `, which has a, b, c for python 3.12: run the wrap from an image with that function`,
		},
		"no such task":        {Options{PlanDir: changed, Wrap: "wrap-2"}, "plan folder " + changed + `: the plan places "Z", which is no Task of the definition: plan again`},
		"a task is not there": {Options{PlanDir: partial, Wrap: "wrap-2"}, "the plan places no task C: plan again"},
		"no wrap named":       {Options{PlanDir: good}, "given together"},
		"no folder named":     {Options{Wrap: "wrap-1"}, "given together"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Dir, c.o.Listen = bundle, "127.0.0.1:0"
			_, err := New(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
	// What is missing in another wrap is that wrap's own matter.
	if _, err := readBundle(Options{Dir: bundle, PlanDir: foreign, Wrap: "wrap-1"}); err != nil {
		t.Error(err)
	}
}

// TestPythonPlanFolder: one bundle of all functions serves both wraps of a plan that
// it was not built for, another workflow's even, and imports only what each runs.
func TestPythonPlanFolder(t *testing.T) {
	dirs := writeBundles(t, sequence("Inc", "Square", "Echo", "Unimportable"), nil, alone("Inc", "Square", "Echo", "Unimportable")...)
	definition := `{"StartAt":"First","States":{
	 "First":{"Type":"Task","Resource":"inc","Next":"Fan"},
	 "Fan":{"Type":"Parallel","End":true,"Branches":[
	  {"StartAt":"A","States":{"A":{"Type":"Task","Resource":"square","End":true}}},
	  {"StartAt":"B","States":{"B":{"Type":"Task","Resource":"inc","End":true}}},
	  {"StartAt":"C","States":{"C":{"Type":"Task","Resource":"echo","End":true}}}]}}}`
	folder, p := writePlanFolder(
		t, definition,
		plan.Wrap{Name: "front", CPUs: 1, Concurrency: 5, Processes: []plan.Process{pool1("First"), fork1("B")}},
		plan.Wrap{Name: "back", CPUs: 1, Processes: []plan.Process{pool1("A", "C")}},
	)
	back := run(t, Options{Dir: dirs[0], PlanDir: folder, Wrap: "back"})
	front := run(t, Options{Dir: dirs[0], PlanDir: folder, Wrap: "front", Peers: map[string]string{"back": "unix://" + back.Addr().String()}})
	front.post(t, "4", "[25,6,5]")
	for s, want := range map[*served]struct {
		wrap, function, other string
		concurrency           int
	}{front: {"front", "inc", "square", 5}, back: {"back", "square", "inc", plan.DefaultConcurrency}} {
		var told Stats
		if err := json.Unmarshal([]byte(s.do(t, "GET", "/_/stats", "").body), &told); err != nil {
			t.Fatal(err)
		}
		if told.Wrap != want.wrap || told.PlanID != p.Digest() || told.Concurrency != want.concurrency {
			t.Errorf("%s tells %+v", want.wrap, told)
		}
		if a := s.do(t, "POST", "/function/"+want.function, "3"); a.status != 200 {
			t.Errorf("%s of %s: %+v", want.function, want.wrap, a)
		}
		if a := s.do(t, "POST", "/function/"+want.other, "3"); a.status != 404 {
			t.Errorf("%s of %s: %+v", want.other, want.wrap, a)
		}
		if log := s.logs.String(); !strings.Contains(log, p.Digest()) {
			t.Errorf("%s logs another plan: %s", want.wrap, log)
		}
	}
	// By its own plan the bundle cannot serve: a function is not to be imported.
	own, err := New(t.Context(), Options{Dir: dirs[0], Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	var failed *host.ImportError
	if err := own.Serve(t.Context()); !errors.As(err, &failed) {
		t.Errorf("the bundle's own plan: %v", err)
	}
}

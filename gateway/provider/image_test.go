package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/examples"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/openfaas"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// serveImages is a gateway that runs images; the test is skipped where none can be.
func serveImages(t *testing.T, binary, dir string) *server {
	t.Helper()
	ocitest.Runc(t)
	s := serve(t, binary, dir)
	if s.images == nil {
		t.Skip(s.noImages)
	}
	return s
}

// watchdogs makes images of a static server, by the word that each answers with.
func watchdogs(t *testing.T) func(word string) v1.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "watchdog")
	if err := ocitest.Build(file, "../container/testdata/watchdog"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	program := ocitest.Layer(t, ocitest.Entry{Name: "watchdog", Text: string(data), Mode: 0o755})
	return func(word string) v1.Image {
		return ocitest.Image(t, "", v1.Config{Entrypoint: []string{"/watchdog"}, Env: []string{"WORD=" + word}}, program,
			ocitest.Layer(t, ocitest.Entry{Name: "word", Text: word, Mode: 0o644}))
	}
}

// TestImages walks an image through the API.
func TestImages(t *testing.T) {
	image := watchdogs(t)
	dir := stateDir(t)
	s := serveImages(t, "/bin/false", dir)
	var gone atomic.Bool
	registry := ocitest.Registry(t, func(w http.ResponseWriter, _ *http.Request) bool {
		if gone.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return !gone.Load()
	})
	one := ocitest.Put(t, registry, "team/f:1", image("one"))
	s.want(t, "POST", "/system/secrets", map[string]string{"name": "api-key", "value": "v"}, 201, "")
	spec := openfaas.Deployment{
		Service: "f", Image: one, Secrets: []string{"api-key"}, EnvVars: map[string]string{"GREETING": "hi", "max_inflight": "1"}, EnvProcess: "cat",
		Labels: &map[string]string{labelZero: "true", labelMax: "3"}, Limits: &openfaas.Resources{Memory: "256Mi", CPU: "500m"}, ReadOnlyRoot: true,
	}
	for part, change := range map[string]func(*openfaas.Deployment){
		"404":             func(d *openfaas.Deployment) { d.Image = registry + "/team/none:1" },
		"no image's name": func(d *openfaas.Deployment) { d.Image = "NOT A NAME" },
		"lots":            func(d *openfaas.Deployment) { d.Limits = &openfaas.Resources{Memory: "lots"} },
		"neither":         func(d *openfaas.Deployment) { d.Annotations = &map[string]string{annotationNetwork: "bridge"} },
		"no path":         func(d *openfaas.Deployment) { d.Annotations = &map[string]string{annotationReady: "ready"} },
		"max_inflight":    func(d *openfaas.Deployment) { d.EnvVars = map[string]string{"max_inflight": "x"} },
	} {
		bad := spec
		change(&bad)
		s.want(t, "POST", "/system/functions", bad, 400, part)
	}
	s.want(t, "POST", "/system/functions", spec, 202, "")
	s.want(t, "POST", "/function/f/path", "body", 200, "one /path body")
	seen := s.want(t, "GET", "/function/f/see", nil, 200, `"secret":"v"`)
	for _, part := range []string{`"uid":65534`, "GREETING=hi", "fprocess=cat"} {
		if !strings.Contains(seen, part) {
			t.Errorf("no %s in %s", part, seen)
		}
	}
	s.want(t, "PUT", "/system/secrets", map[string]string{"name": "api-key", "value": "new"}, 202, "")
	s.want(t, "GET", "/function/f/see", nil, 200, `"secret":"new"`)
	// It calls itself through the gateway.
	s.want(t, "GET", "/function/f/get?url=http://gateway:31112/function/f/again", nil, 200, "one /again")
	s.want(t, "GET", "/function/f/get?url=http://gateway:31112/system/functions", nil, 200, "403")
	var status openfaas.Status
	if err := json.Unmarshal([]byte(s.want(t, "GET", "/system/function/f?usage=1", nil, 200, "")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Image != one || status.Replicas < 1 || status.EnvProcess != "cat" {
		t.Errorf("%+v", status)
	}
	s.eventually(t, "a line of the function's", func() bool {
		code, text := s.do(t, "GET", "/system/logs?name=f", nil)
		return code == 200 && strings.Contains(text, `"text":"seen body"`) && strings.Contains(text, `"instance":"container`)
	})

	// To several and to none, from which the next request brings it back.
	s.want(t, "POST", "/system/scale-function/f", map[string]any{"replicas": 2}, 202, "")
	s.eventually(t, "two replicas", func() bool { return s.replicas(t, "f") == 2 })
	s.want(t, "POST", "/system/scale-function/f", map[string]any{"replicas": 0}, 202, "")
	s.eventually(t, "no replica", func() bool { return s.replicas(t, "f") == 0 })
	s.want(t, "POST", "/function/f/woken", "", 200, "one /woken")

	// The same again changes nothing; a name that leads elsewhere by now does; one
	// that does not start leaves what was.
	s.want(t, "PUT", "/system/functions", spec, 202, "")
	if g := s.find("f").generation; g != 0 {
		t.Errorf("the same again made generation %d", g)
	}
	ocitest.Put(t, registry, "team/f:1", image("two"))
	s.want(t, "PUT", "/system/functions", spec, 202, "")
	s.want(t, "POST", "/function/f", "", 200, "two /")
	broken := spec
	broken.EnvVars = map[string]string{"MODE": "crash"}
	s.want(t, "PUT", "/system/functions", broken, 500, "no such database")
	s.want(t, "POST", "/function/f", "", 200, "two /")

	// A restart needs no registry, and pulls nothing that has moved.
	ocitest.Put(t, registry, "team/f:1", image("three"))
	gone.Store(true)
	s.want(t, "PUT", "/system/functions", broken, 500, "500")
	s.close()
	s = serveImages(t, "/bin/false", dir)
	s.want(t, "POST", "/function/f", "", 200, "two /")
	gone.Store(false)

	s.want(t, "DELETE", "/system/functions", `{"functionName":"f"}`, 202, "")
	s.want(t, "POST", "/function/f", "", 404, "")
	for _, sub := range []string{"functions", "images/images", "images/layers", "images/run", "images/runc"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) || len(entries) != 0 {
			t.Errorf("left in %s: %v, %v", sub, entries, err)
		}
	}
}

// TestImagesRefused: where none can be run, a deployment is told why in a line.
func TestImagesRefused(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // without runc
	s := serve(t, "/bin/false", stateDir(t))
	text := s.want(t, "POST", "/system/functions", openfaas.Deployment{Service: "f", Image: "127.0.0.1:1/f:1"}, 400, "bundle:")
	if strings.Contains(text, "\n") || !strings.Contains(text, "runc") {
		t.Errorf("refused: %q", text)
	}
}

// interpreter is this machine's, whatever version functions ask for.
func interpreter(ctx context.Context, lang, _ string) (string, error) {
	found, err := host.FindInterpreter(ctx, lang, "")
	return found.Path, err
}

// wrapImages makes the images of a plan's wraps, as chiron build makes them on this
// machine's Python, and returns their names in a registry.
func wrapImages(t *testing.T, agent string, p *workflow.Project, pl *plan.Plan) []string {
	t.Helper()
	base, err := machineBase()
	if err != nil {
		t.Fatal(err)
	}
	images, err := oci.Build(t.Context(), oci.Options{
		Project: p, Plan: pl, Base: base, Agents: []string{agent}, CacheDir: filepath.Join(scratch, "cache"), Interpreter: interpreter,
	})
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := oci.Push(t.Context(), images, oci.PushOptions{Naming: oci.Naming{Prefix: ocitest.Registry(t, nil) + "/team"}})
	if err != nil {
		t.Fatal(err)
	}
	return pushed
}

// planned has tasks of a project in a wrap each.
func planned(p *workflow.Project, wraps ...[]string) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "test"}
	for n, tasks := range wraps {
		pl.Wraps = append(pl.Wraps, plan.Wrap{
			Name: fmt.Sprintf("wrap-%d", n+1), CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: tasks}},
		})
	}
	return pl
}

// TestWorkflowImages runs FINRA-5 as images of two wraps, which call each other
// through the gateway, and as a bundle: both answer the same.
func TestWorkflowImages(t *testing.T) {
	agent := agentFile(t)
	s := serveImages(t, agent, stateDir(t))
	dir := filepath.Join(t.TempDir(), "finra-5")
	if err := os.CopyFS(dir, examples.FINRA5()); err != nil {
		t.Fatal(err)
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all, first, second []string
	for n, task := range p.Definition.Tasks() {
		all = append(all, task.Name)
		if n%2 == 0 {
			first = append(first, task.Name)
		} else {
			second = append(second, task.Name)
		}
	}
	pushed := wrapImages(t, agent, p, planned(p, first, second))
	bundles, err := bundle.Build(t.Context(), bundle.Options{Project: p, Plan: planned(p, all), OutDir: t.TempDir(), Interpreter: interpreter})
	if err != nil {
		t.Fatal(err)
	}
	limits := &openfaas.Resources{Memory: "512Mi", CPU: "1"}
	s.want(t, "POST", "/system/functions", openfaas.Deployment{Service: "second", Image: pushed[1], ReadOnlyRoot: true, Limits: limits}, 202, "")
	s.want(t, "POST", "/system/functions", openfaas.Deployment{
		Service: "image", Image: pushed[0], ReadOnlyRoot: true, Limits: limits,
		EnvVars: map[string]string{openfaas.PeersVariable: "wrap-2=http://gateway:31112/function/second"},
	}, 202, "")
	s.want(t, "POST", "/system/functions", openfaas.Deployment{Service: "bundle", Image: "bundle:" + bundles[0].Dir}, 202, "")
	var answers []string
	for _, name := range []string{"image", "bundle"} {
		s.want(t, "GET", "/function/"+name+"/_/ready", nil, 200, "OK")
		answers = append(answers, s.want(t, "POST", "/function/"+name, string(p.Input), 200, ""))
	}
	if answers[0] != answers[1] || len(answers[0]) < 20 {
		t.Errorf("the images answer %.200q, the bundle %.200q", answers[0], answers[1])
	}
	if stats := s.want(t, "GET", "/function/image/_/stats", nil, 200, `"wrap": "wrap-2"`); strings.Contains(stats, `"calls": 0`) {
		t.Errorf("the second wrap was not called: %s", stats)
	}
}

// TestWrapImageEnvironment: functions in an image of ours find what those in a bundle
// find, in either network.
func TestWrapImageEnvironment(t *testing.T) {
	agent := agentFile(t)
	s := serveImages(t, agent, stateDir(t))
	p := oneTask(t, answers("one"))
	pushed := wrapImages(t, agent, p, planned(p, []string{"a"}))
	s.want(t, "POST", "/system/secrets", map[string]string{"name": "api-key", "value": "v"}, 201, "")
	for network, name := range map[string]string{"none": "f", "host": "g"} {
		s.want(t, "POST", "/system/functions", openfaas.Deployment{
			Service: name, Image: pushed[0], Secrets: []string{"api-key"}, EnvVars: map[string]string{"GREETING": "hello a=b", "OWN": "given"},
			Annotations: &map[string]string{annotationNetwork: network},
		}, 202, "")
		s.want(t, "POST", "/function/"+name, "{}", 200, `{"word":"one","env":"hello a=b","own":"given","secret":"v"}`)
		s.eventually(t, "the function's line", func() bool {
			code, text := s.do(t, "GET", "/system/logs?name="+name, nil)
			return code == 200 && strings.Contains(text, `"text":"seen one"`) && strings.Contains(text, `"function":"f"`)
		})
	}
}

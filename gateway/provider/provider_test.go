package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/container"
	"github.com/chiron-faas/chiron/internal/openfaas"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// server is a gateway with a provider.
type server struct {
	*Provider
	gateway *gateway.Gateway
	url     string
	log     *bytes.Buffer
	close   func()
}

// stateDir is a folder with a short path, since sockets lie below.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func serve(t *testing.T, agent, dir string) *server {
	t.Helper()
	s := &server{log: &bytes.Buffer{}}
	var err error
	front := &door{}
	s.Provider, err = New(Options{
		Dir: dir, Version: "0.1.0", Drain: 5 * time.Second,
		Images: func(dir string) (*container.Engine, error) {
			return container.New(t.Context(), container.Options{Dir: dir, Gateway: front, Grace: 2 * time.Second})
		},
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: s.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Target: func(dir string) (deploy.Target, error) {
			return local.New(local.Options{Agent: agent, Dir: dir, Grace: 2 * time.Second})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.gateway, err = gateway.New(gateway.Options{System: s.Provider, Namespace: DefaultNamespace}); err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	front.gateway = s.gateway
	s.Start(life, s.gateway)
	listening := httptest.NewServer(s.gateway)
	s.url = listening.URL
	s.close = sync.OnceFunc(func() {
		end()
		listening.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.close)
	return s
}

// door is the gateway for containers, which are there before it is.
type door struct{ gateway *gateway.Gateway }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.gateway.ServeHTTP(w, r) }

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// do sends a request; body is sent as JSON unless it is a string.
func (s *server) do(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func (s *server) want(t *testing.T, method, path string, body any, status int, part string) string {
	t.Helper()
	got, text := s.do(t, method, path, body)
	if got != status || !strings.Contains(text, part) {
		t.Errorf("%s %s: %d %q, want %d with %q", method, path, got, text, status, part)
	}
	return text
}

// oneTask is a project of one function, whose module is code.
func oneTask(t *testing.T, code string) *workflow.Project {
	t.Helper()
	return benchtest.Project(t, map[string]string{
		"chiron.yaml": "name: w\ndefinition: w.asl.json\nfunctions:\n  f: {handler: f.py, env: {OWN: bundle}}\n",
		"w.asl.json":  `{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "f", "End": true}}}`,
		"f.py":        code,
	})
}

// makeBundle builds the bundle of one function, whose module is code.
func makeBundle(t *testing.T, code string) bundle.Bundle {
	t.Helper()
	pl := &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{
		{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: 0, Tasks: []string{"a"}}}},
	}}
	bundles, err := bundle.Build(t.Context(), bundle.Options{Project: oneTask(t, code), Plan: pl, OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return bundles[0]
}

func answers(word string) string {
	return fmt.Sprintf(`
import os
def handler(event, context):
    print("seen %s", flush=True)
    secret = ""
    if "CHIRON_SECRETS" in os.environ:
        secret = open(os.path.join(os.environ["CHIRON_SECRETS"], "api-key")).read()
    return {"word": "%s", "env": os.environ.get("GREETING"), "own": os.environ.get("OWN"), "secret": secret}
`, word, word)
}

// TestAPI walks through every endpoint: its answer, and what is wrong.
func TestAPI(t *testing.T) {
	s := serve(t, agentFile(t), stateDir(t))
	one := makeBundle(t, answers("one"))
	image := "bundle:" + one.Dir

	if text := s.want(t, "GET", "/system/functions", nil, 200, "[]"); text != "[]" {
		t.Errorf("no functions: %s", text)
	}
	s.want(t, "GET", "/system/info", nil, 200, `"orchestration":"chiron"`)
	s.want(t, "GET", "/system/namespaces", nil, 200, `["openfaas-fn"]`)
	s.want(t, "GET", "/system/namespace/openfaas-fn", nil, 200, `"openfaas":"1"`)
	s.want(t, "GET", "/system/namespace/other", nil, 404, "")
	s.want(t, "PATCH", "/system/functions", nil, 405, "")

	// Secrets.
	if text := s.want(t, "GET", "/system/secrets", nil, 200, "[]"); text != "[]" {
		t.Errorf("no secrets: %s", text)
	}
	const value = "s3cr3t-value"
	s.want(t, "POST", "/system/secrets", map[string]string{"name": "api-key", "namespace": "openfaas-fn", "value": value}, 201, "")
	s.want(t, "POST", "/system/secrets", map[string]string{"name": "api-key", "value": value}, 409, "exists")
	s.want(t, "GET", "/system/secrets", nil, 200, `[{"name":"api-key","namespace":"openfaas-fn"}]`)
	s.want(t, "PUT", "/system/secrets", map[string]string{"name": "none", "value": value}, 404, "none")
	s.want(t, "DELETE", "/system/secrets", map[string]string{"name": "none"}, 404, "none")
	for _, bad := range []string{`{`, `[]`, `{"name":"../x","value":"` + value + `"}`, `{"name":"","value":"` + value + `"}`, `{"name":"x","rawValue":"` + value + `!"}`, `{"name":"x","namespace":"other"}`, `{"name":"x","value":["` + value + `"]}`} {
		if text := s.want(t, "POST", "/system/secrets", bad, 400, ""); strings.Contains(text, value) {
			t.Errorf("a value is in the answer: %s", text)
		}
	}

	// Deploy: what is wrong first.
	for _, c := range []struct {
		body any
		part string
	}{
		{"{", "JSON"},
		{openfaas.Deployment{Service: "Bad_Name", Image: image}, "Bad_Name"},
		{openfaas.Deployment{Service: "f"}, "image is empty"},
		{openfaas.Deployment{Service: "f", Image: "NOT A NAME"}, "NOT A NAME"},
		{openfaas.Deployment{Service: "f", Image: "bundle:relative"}, "absolute"},
		{openfaas.Deployment{Service: "f", Image: "bundle:" + t.TempDir()}, "no whole bundle"},
		{openfaas.Deployment{Service: "f", Image: image + "@sha256:0"}, "no digest"},
		{openfaas.Deployment{Service: "f", Image: image + "@sha256:" + strings.Repeat("0", 64)}, "another bundle"},
		{openfaas.Deployment{Service: "f", Image: image, Namespace: "other"}, "other"},
		{openfaas.Deployment{Service: "f", Image: image, Secrets: []string{"none"}}, "none"},
		{openfaas.Deployment{Service: "f", Image: image, Secrets: []string{"../lock"}}, "lock"},
		{openfaas.Deployment{Service: "f", Image: image, Labels: &map[string]string{labelMin: "many"}}, "many"},
		{openfaas.Deployment{Service: "f", Image: image, Limits: &openfaas.Resources{Memory: "lots"}}, "lots"},
		{openfaas.Deployment{Service: "f", Image: image, Limits: &openfaas.Resources{CPU: "100m"}}, "100m"},
		{openfaas.Deployment{Service: "f", Image: image, EnvVars: map[string]string{"A=B": "x"}}, "A=B"},
	} {
		s.want(t, "POST", "/system/functions", c.body, 400, c.part)
	}
	s.want(t, "PUT", "/system/functions", openfaas.Deployment{Service: "f", Image: image}, 404, "not deployed")
	spec := openfaas.Deployment{
		Service: "f", Image: image, Secrets: []string{"api-key"}, EnvVars: map[string]string{"GREETING": "hello a=b", "OWN": "given"},
		Labels: &map[string]string{"team": "red"}, Annotations: &map[string]string{"note": "x"}, Limits: &openfaas.Resources{Memory: "512Mi", CPU: "1"}, ReadOnlyRoot: true,
	}
	s.want(t, "POST", "/system/functions", spec, 202, "")
	s.want(t, "POST", "/system/functions", spec, 400, "exists")
	s.want(t, "POST", "/function/f", "{}", 200, `"word":"one"`)
	s.want(t, "POST", "/function/f.openfaas-fn", "{}", 200, `"env":"hello a=b","own":"given","secret":"`+value+`"`)
	s.want(t, "POST", "/function/f/function/f", "{}", 200, `"word":"one"`)
	s.want(t, "GET", "/function/f/_/ready", nil, 200, "OK")

	// Describe and list.
	var status openfaas.Status
	if err := json.Unmarshal([]byte(s.want(t, "GET", "/system/function/f?usage=1", nil, 200, "")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Name != "f" || status.Image != image || status.Namespace != "openfaas-fn" || status.Replicas != 1 || status.AvailableReplicas != 1 ||
		status.InvocationCount != 4 || status.Labels["team"] != "red" || status.Annotations["note"] != "x" || status.CreatedAt.IsZero() ||
		status.Limits.Memory != "512Mi" || !status.ReadOnlyRoot || status.Usage == nil || status.Usage.TotalMemoryBytes == 0 {
		t.Errorf("%+v", status)
	}
	s.want(t, "GET", "/system/functions?namespace=openfaas-fn", nil, 200, `"name":"f"`)
	s.want(t, "GET", "/system/functions?namespace=other", nil, 400, "other")
	s.want(t, "GET", "/system/function/none", nil, 404, "")
	s.want(t, "GET", "/system/function/f.other", nil, 404, "")

	// A secret that changes.
	s.want(t, "PUT", "/system/secrets", map[string]any{"name": "api-key", "rawValue": []byte("new")}, 202, "")
	s.want(t, "POST", "/function/f", "{}", 200, `"secret":"new"`)

	// Scale.
	s.want(t, "POST", "/system/scale-function/f", map[string]any{"serviceName": "f", "replicas": 2}, 202, "")
	s.eventually(t, "two replicas", func() bool { return s.replicas(t, "f") == 2 })
	s.want(t, "POST", "/system/scale-function/f", map[string]any{"replicas": 0}, 202, "") // OpenFaaS gives one
	s.eventually(t, "one replica", func() bool { return s.replicas(t, "f") == 1 })
	s.want(t, "POST", "/system/scale-function/none", map[string]any{"replicas": 1}, 404, "none")
	for _, bad := range []string{`{`, `{}`, `{"replicas":-1}`, `{"replicas":"2"}`} {
		s.want(t, "POST", "/system/scale-function/f", bad, 400, "")
	}

	// Update: one that does not start changes nothing.
	broken := spec
	broken.Image = "bundle:" + makeBundle(t, "import nothing_of_that_name\n").Dir
	s.want(t, "PUT", "/system/functions", broken, 500, "nothing_of_that_name")
	s.want(t, "POST", "/function/f", "{}", 200, `"word":"one"`)
	s.want(t, "PUT", "/system/functions", spec, 202, "")
	two := spec
	two.Image = "bundle:" + makeBundle(t, answers("two")).Dir
	s.want(t, "PUT", "/system/functions", two, 202, "")
	s.want(t, "POST", "/function/f", "{}", 200, `"word":"two"`)

	// Back to the one before, whatever its folder holds by now.
	back := spec
	back.Image = image + "@" + one.Digest
	if err := os.RemoveAll(one.Dir); err != nil {
		t.Fatal(err)
	}
	s.want(t, "PUT", "/system/functions", back, 202, "")
	s.want(t, "POST", "/function/f", "{}", 200, `"word":"one"`)
	s.want(t, "PUT", "/system/functions", two, 202, "")

	// Logs: those of the version that runs.
	s.want(t, "POST", "/function/f", "{}", 200, `"word":"two"`)
	s.eventually(t, "the function's line", func() bool { // it is read from the agent beside the answer
		status, text := s.do(t, "GET", "/system/logs?name=f", nil)
		return status == 200 && strings.Contains(text, `"text":"seen two"`)
	})
	for query, want := range map[string]int{
		"name=f&tail=x": 422, "name=f&since=yesterday": 422, "name=f&follow=maybe": 422, "name=none": 404, "": 400, "name=f&namespace=x": 400,
		"name=f&tail=1&since=2020-01-01T00:00:00Z&follow=false": 200,
	} {
		s.want(t, "GET", "/system/logs?"+query, nil, want, "")
	}
	if text := s.want(t, "GET", "/system/logs?name=f&since=2999-01-01T00:00:00Z", nil, 200, ""); text != "" {
		t.Errorf("lines of the future: %s", text)
	}
	s.follow(t)

	// Delete.
	s.want(t, "DELETE", "/system/functions", "{", 400, "")
	s.want(t, "DELETE", "/system/functions", `{"functionName":""}`, 400, "empty")
	s.want(t, "DELETE", "/system/functions", `{"functionName":"none"}`, 404, "none")
	s.want(t, "DELETE", "/system/functions", `{"functionName":"f","namespace":"openfaas-fn"}`, 202, "")
	s.want(t, "DELETE", "/system/functions", `{"functionName":"f"}`, 404, "")
	s.want(t, "POST", "/function/f", "{}", 404, "")
	s.want(t, "DELETE", "/system/secrets", map[string]string{"name": "api-key"}, 202, "")
	for _, sub := range []string{"bundles", "functions", "secrets", "run/a", "run/b"} {
		entries, err := os.ReadDir(filepath.Join(s.options.Dir, sub))
		if err != nil || len(entries) != 0 {
			t.Errorf("left in %s: %v, %v", sub, entries, err)
		}
	}
	s.close()
	if text := s.log.String(); strings.Contains(text, value) {
		t.Errorf("a secret's value is in the log:\n%s", text)
	}
}

func (s *server) replicas(t *testing.T, name string) int {
	var status openfaas.Status
	if err := json.Unmarshal([]byte(s.want(t, "GET", "/system/function/"+name, nil, 200, "")), &status); err != nil {
		t.Fatal(err)
	}
	if status.AvailableReplicas != status.Replicas {
		return -1
	}
	return status.Replicas
}

func (s *server) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

// follow sees a line that comes after the request for it.
func (s *server) follow(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/system/logs?name=f&tail=1&follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%v", resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() { // the last line there is
		t.Fatal(lines.Err())
	}
	s.want(t, "POST", "/function/f", "{}", 200, "")
	for lines.Scan() {
		var l openfaas.LogLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		if l.Text == "seen two" && l.Name == "f" && l.Namespace == "openfaas-fn" && l.Instance != "" && l.Function == "f" && l.RequestID != "" && !l.Timestamp.IsZero() {
			return
		}
	}
	t.Errorf("the line was not followed: %v", lines.Err())
}

// TestRestart: what was deployed is there after a restart of the gateway, and the
// folder belongs to one at a time.
func TestRestart(t *testing.T) {
	agent, dir := agentFile(t), stateDir(t)
	made := makeBundle(t, answers("kept"))
	s := serve(t, agent, dir)
	s.want(t, "POST", "/system/secrets", map[string]string{"name": "api-key", "value": "v"}, 201, "")
	s.want(t, "POST", "/system/functions", openfaas.Deployment{Service: "f", Image: "bundle:" + made.Dir, Secrets: []string{"api-key"}}, 202, "")
	if _, err := New(Options{Dir: dir, Target: s.options.Target}); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("a second provider of the folder: %v", err)
	}
	created := s.find("f").created
	s.close()
	if err := os.RemoveAll(made.Dir); err != nil { // it has its copy
		t.Fatal(err)
	}
	again := serve(t, agent, dir)
	again.want(t, "POST", "/function/f", "{}", 200, `"word":"kept","env":null,"own":"bundle","secret":"v"`)
	if f := again.find("f"); !f.created.Equal(created) {
		t.Errorf("created %v, was %v", f.created, created)
	}
}

// TestUpdateUnderLoad: no request fails while a function is updated.
func TestUpdateUnderLoad(t *testing.T) {
	s := serve(t, agentFile(t), stateDir(t))
	var images [2]string
	for n := range images {
		images[n] = "bundle:" + makeBundle(t, answers(fmt.Sprint("v", n))).Dir
	}
	s.want(t, "POST", "/system/functions", openfaas.Deployment{Service: "f", Image: images[0]}, 202, "")
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for ; !stop.Load(); time.Sleep(2 * time.Millisecond) {
				s.want(t, "POST", "/function/f", "{}", 200, `"word":"v`)
			}
		})
	}
	for n := range 3 {
		s.want(t, "PUT", "/system/functions", openfaas.Deployment{Service: "f", Image: images[(n+1)%2]}, 202, "")
	}
	stop.Store(true)
	all.Wait()
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "128Mi": 128 << 20, "1G": 1e9, "1.5Gi": 3 << 29, "1000": 1000, "64k": 64000} {
		if got, err := memoryOf(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-1", "1Q", "Mi", "0", "1e30", "NaN"} {
		if got, err := memoryOf(text); err == nil {
			t.Errorf("%q is %d bytes", text, got)
		}
	}
	for text, want := range map[string]float64{"": 0, "2": 2, "500m": .5, "0.25": .25} {
		if got, err := cpusOf(text); err != nil || got != want {
			t.Errorf("%q: %g, %v, want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-1", "0", "m", "NaN"} {
		if got, err := cpusOf(text); err == nil {
			t.Errorf("%q is %g CPUs", text, got)
		}
	}
}

func TestScaleLabels(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   scale
		bad    bool
	}{
		{nil, scale{1, 5, 0}, false},
		{map[string]string{labelMin: "2"}, scale{2, 5, 0}, false},
		{map[string]string{labelMin: "9"}, scale{9, 9, 0}, false},
		{map[string]string{labelMax: "1"}, scale{1, 1, 0}, false},
		{map[string]string{labelZero: "true", labelZeroIdle: "5m"}, scale{0, 5, 5 * time.Minute}, false},
		{map[string]string{labelMin: "3", labelMax: "2"}, scale{}, true},
		{map[string]string{labelMax: "0"}, scale{}, true},
		{map[string]string{labelZeroIdle: "soon"}, scale{}, true},
	} {
		if got, err := scaleOf(c.labels); (err != nil) != c.bad || !c.bad && got != c.want {
			t.Errorf("%v: %+v, %v", c.labels, got, err)
		}
	}
}

package openfaas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/deploy/targettest"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/auth"
	"github.com/chiron-faas/chiron/gateway/provider"
	"github.com/chiron-faas/chiron/internal/openfaas"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"
)

// platform is our own OpenFaaS.
type platform struct {
	url   string
	local []deploy.Target // that run its functions
	dir   string
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	agent := programtest.BuildAgent(t)
	dir, err := os.MkdirTemp("", "cho") // short: sockets lie below
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &platform{dir: dir}
	made, err := provider.New(provider.Options{Dir: dir, Drain: 5 * time.Second, Target: func(dir string) (deploy.Target, error) {
		target, err := local.New(local.Options{Agent: agent, Dir: dir, Grace: 2 * time.Second})
		p.local = append(p.local, target)
		return target, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Namespace: provider.DefaultNamespace, System: auth.New("admin", "s3cret").Handler(made)})
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	made.Start(life, g)
	front := httptest.NewServer(g)
	p.url = front.URL
	t.Cleanup(func() {
		end()
		front.Close()
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *platform) target(t *testing.T, o Options) *Target {
	t.Helper()
	o.Gateway, o.Login = p.url, Login{"admin", "s3cret"}
	target, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// kill kills the agent of a wrap.
func (p *platform) kill(t *testing.T, w deploy.WrapStatus) {
	t.Helper()
	for _, target := range p.local {
		if s, err := target.Status(t.Context(), path.Base(w.Address)); err == nil {
			if err := syscall.Kill(s.Wraps[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nothing runs %s", w.Address)
}

// left lists what there is of functions.
func (p *platform) left(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, sub := range []string{"functions", "bundles", "run/a", "run/b"} {
		entries, err := os.ReadDir(filepath.Join(p.dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, sub+"/"+e.Name())
		}
	}
	return left
}

const parallel = `{"StartAt": "p", "States": {"p": {"Type": "Parallel", "Next": "pick", "Branches": [
  {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "inc", "End": true}}},
  {"StartAt": "b", "States": {"b": {"Type": "Task", "Resource": "other", "End": true}}}]},
  "pick": {"Type": "Pass", "InputPath": "$[0]", "End": true}}}`

// deployment has two wraps; where they are the other way round it is another plan.
func deployment(t *testing.T, name, code string, swapped bool) deploy.Deployment {
	t.Helper()
	handler := func(name string) string {
		return fmt.Sprintf("def handler(event, context):\n    print(\"printed by %s\", flush=True)\n    return {\"n\": event[\"n\"] + 1}\n", name)
	}
	p := benchtest.Project(t, map[string]string{
		"chiron.yaml": "name: w\ndefinition: w.asl.json\nfunctions:\n  inc: {handler: inc.py}\n  other: {handler: other.py}\n",
		"w.asl.json":  parallel, "inc.py": handler("inc") + code, "other.py": handler("other"),
	})
	tasks := []string{"a", "b"}
	if swapped {
		tasks = []string{"b", "a"}
	}
	pl := &plan.Plan{Workflow: "w", Model: "test"}
	for i, task := range tasks {
		pl.Wraps = append(pl.Wraps, plan.Wrap{
			Name: fmt.Sprint("wrap-", i+1), CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: 0, Tasks: []string{task}}},
		})
	}
	bundles, err := bundle.Build(t.Context(), bundle.Options{Project: p, Plan: pl, OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Deployment{Name: name, Plan: pl, Bundles: bundles}
}

func TestContract(t *testing.T) {
	p := newPlatform(t)
	targettest.Suite{
		Target:   p.target(t, Options{}),
		Good:     func(t *testing.T, name string) deploy.Deployment { return deployment(t, name, "", false) },
		Function: "inc", Input: `{"n":1}`, Output: `{"n":2}`, Opaque: true,
		Broken: func(t *testing.T, name string) deploy.Deployment {
			return deployment(t, name, "\nimport nothing_of_that_name\n", false)
		},
		Message: "nothing_of_that_name",
		Kill:    p.kill, Left: p.left,
	}.Run(t)
}

// names are the functions of a deployment.
func names(t *testing.T, target *Target, deployment string) []string {
	t.Helper()
	there, err := target.functions(t.Context(), deployment)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range there {
		list = append(list, f.Name+" "+f.Labels[openfaas.LabelPlan])
	}
	return list
}

func answers(t *testing.T, r deploy.Running) {
	t.Helper()
	if status, body, err := targettest.Invoke(t.Context(), r.Workflow(), `{"n":1}`); err != nil || status != 200 || body != `{"n":2}` {
		t.Errorf("%d %s %v", status, body, err)
	}
}

// TestAnotherPlan: changed under load, no request fails and nothing of the old plan
// stays; a plan that does not start leaves all as it was.
func TestAnotherPlan(t *testing.T) {
	p := newPlatform(t)
	target := p.target(t, Options{Drain: time.Second, Namespace: provider.DefaultNamespace})
	first := deployment(t, "flow", "", false)
	r, err := target.Apply(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	answers(t, r)
	was := names(t, target, "flow")
	if again, err := target.Apply(t.Context(), first); err != nil {
		t.Error(err)
	} else {
		answers(t, again)
	}
	broken := deployment(t, "flow", "\nimport nothing_of_that_name\n", true)
	var start *deploy.StartError
	if _, err := target.Apply(t.Context(), broken); !errors.As(err, &start) || !strings.Contains(start.Message, "nothing_of_that_name") {
		t.Errorf("error %v, want a StartError", err)
	}
	if now := names(t, target, "flow"); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Errorf("after a failed change there are %v, there were %v", now, was)
	}
	answers(t, r)
	var stop atomic.Bool
	var all sync.WaitGroup
	var count atomic.Int64
	for range 2 {
		all.Go(func() {
			for ; !stop.Load(); time.Sleep(2 * time.Millisecond) {
				answers(t, r)
				count.Add(1)
			}
		})
	}
	second := deployment(t, "flow", "", true)
	if r, err = target.Apply(t.Context(), second); err != nil {
		t.Error(err)
	}
	stop.Store(true)
	all.Wait()
	if count.Load() == 0 {
		t.Error("no request beside the change")
	}
	id := shortID(second.Plan.Digest())
	if now := names(t, target, "flow"); len(now) != 2 || !strings.HasSuffix(now[0], id) || !strings.HasSuffix(now[1], id) {
		t.Errorf("functions %v, want two of plan %s", now, id)
	}
	// Where the new wrap 1 fails, the old one is put back.
	bad := deployment(t, "flow", "\nimport nothing_of_that_name\n", false)
	if _, err := target.Apply(t.Context(), bad); !errors.As(err, &start) {
		t.Errorf("error %v, want a StartError", err)
	}
	answers(t, r)
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Up || s.PlanID != second.Plan.Digest() || len(s.Wraps) != 2 || len(s.Notes) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := r.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if left := p.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestHalfFinished: who was killed in the middle has left functions; the next
// deployment finishes them, and Down removes them.
func TestHalfFinished(t *testing.T) {
	p := newPlatform(t)
	target := p.target(t, Options{Drain: 100 * time.Millisecond})
	d := deployment(t, "flow", "", false)
	if _, err := target.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := target.client.Delete(t.Context(), "flow"); err != nil {
		t.Fatal(err)
	}
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Dead || len(s.Notes) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	r, err := target.Up(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	answers(t, r)
	two := names(t, target, "flow")[1]
	if err := target.client.Delete(t.Context(), strings.Fields(two)[0]); err != nil {
		t.Fatal(err)
	}
	if s, err := target.Status(t.Context(), "flow"); err != nil || s.State != deploy.Degraded || len(s.Notes) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := target.Down(t.Context(), "flow"); err != nil {
		t.Error(err)
	}
	if left := p.left(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestSomebodyElses: a function of the name that we did not deploy is left alone.
func TestSomebodyElses(t *testing.T) {
	p := newPlatform(t)
	target := p.target(t, Options{})
	d := deployment(t, "flow", "", false)
	if err := target.client.Create(t.Context(), openfaas.Deployment{Service: "flow", Image: "bundle:" + d.Bundles[1].Dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Up(t.Context(), d); err == nil || !strings.Contains(err.Error(), "no deployment of ours") {
		t.Errorf("%v", err)
	}
	if err := target.Down(t.Context(), "flow"); err == nil {
		t.Error("it was taken down")
	}
	if _, found, err := target.client.Function(t.Context(), "flow"); err != nil || !found {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestBadGateways: each says what is wrong, and no password.
func TestBadGateways(t *testing.T) {
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var redirected atomic.Bool
	elsewhere := serve(func(http.ResponseWriter, *http.Request) { redirected.Store(true) })
	for name, c := range map[string]struct{ url, want string }{
		"down": {gone.URL, "nothing serves there"},
		"password": {serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
		}), `refuses user "admin"`},
		"500": {serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the provider is down", http.StatusInternalServerError)
		}), "500: the provider is down"},
		"HTML": {serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html><body>hello</body>")) }), "is this the URL of an OpenFaaS gateway"},
		"HTML and 502": {serve(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>bad gateway", http.StatusBadGateway)
		}), "502: a page of HTML"},
		"cut short": {serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("["))
		}), "read the answer"},
		"redirect": {serve(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }), "302"},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := New(Options{Gateway: c.url, Login: Login{"admin", "s3cret"}})
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := target.List(t.Context())
			_, err2 := target.Status(t.Context(), "flow")
			err3 := target.Down(t.Context(), "flow")
			err4 := target.Logs(t.Context(), "flow", deploy.LogOptions{}, func(deploy.LogLine) error { return nil })
			for _, err := range []error{err1, err2, err3, err4} {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
	if redirected.Load() {
		t.Error("a redirect was followed, with the password")
	}
	// OpenFaaS' own gateway runs no bundles.
	other := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/system/info" {
			_, _ = w.Write([]byte(`{"provider":{"provider":"faas-netes","orchestration":"kubernetes"},"arch":"x86_64"}`))
			return
		}
		_, _ = w.Write([]byte("[]"))
	})
	target, err := New(Options{Gateway: other})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Up(t.Context(), deployment(t, "flow", "", false)); err == nil || !strings.Contains(err.Error(), "runs images") {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{Gateway: ""}, {Gateway: "here"}, {Gateway: "ftp://x"}, {Gateway: "http://x", Peers: "http://x"}, {Gateway: "http://x", Peers: "{function}"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestNames(t *testing.T) {
	id := strings.Repeat("a", 64)
	if got := functionName("flow", "wrap-1", true, id); got != "flow" {
		t.Error(got)
	}
	if got := functionName("flow", "wrap-2", false, id); got != "flow-wrap-2-aaaaaaaaaa" {
		t.Error(got)
	}
	long := strings.Repeat("x", 60)
	two, three := functionName(long, "wrap-2", false, id), functionName(long, "wrap-3", false, id)
	if deploy.CheckName(two) != nil || deploy.CheckName(three) != nil || two == three || !strings.HasSuffix(two, "-aaaaaaaaaa") {
		t.Errorf("%s, %s", two, three)
	}
	for template, want := range map[string]string{"": "http://gw:8080/function/f.ns", "http://{function}.{namespace}:8080": "http://f.ns:8080"} {
		target, err := New(Options{Gateway: "http://gw:8080/", Namespace: "ns", Peers: template})
		if err != nil {
			t.Fatal(err)
		}
		if got := target.peerURL(target.client.URL(), "f"); got != want {
			t.Errorf("%q: %s, want %s", template, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ours := readLine(openfaas.LogLine{Timestamp: at, Text: "hello", Level: "INFO", Function: "f", RequestID: "r", Stream: "stdout"}, "wrap-1")
	if ours.Text != "hello" || ours.Function != "f" || ours.RequestID != "r" || ours.Wrap != "wrap-1" || !ours.Time.Equal(at) {
		t.Errorf("%+v", ours)
	}
	inContainer := readLine(openfaas.LogLine{Timestamp: at, Text: `{"time":"2026-01-02T03:04:06Z","level":"INFO","msg":"hello","function":"f","request_id":"r","stream":"stdout"}`}, "wrap-1")
	if inContainer.Text != "hello" || inContainer.Function != "f" || inContainer.Time.Second() != 6 {
		t.Errorf("%+v", inContainer)
	}
	if plain := readLine(openfaas.LogLine{Timestamp: at, Text: `{"a":1}`}, "w"); plain.Text != `{"a":1}` {
		t.Errorf("%+v", plain)
	}
}

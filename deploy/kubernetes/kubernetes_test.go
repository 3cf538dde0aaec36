package kubernetes

import (
	"bytes"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/plan"
)

var update = flag.Bool("update", false, "write testdata anew from what is rendered now")

// TestRender: the same input is the same text, which testdata has.
func TestRender(t *testing.T) {
	full := workload(twoWraps(256 << 20))
	full.Env = []string{"PRICE=$5", "EMPTY="}
	settings := Settings{
		Namespace: "shop", Min: 2, Max: 4, Utilization: 60, Overcommit: 4, From: []string{"ingress-nginx"}, PullSecrets: []string{"registry"},
		Linger: 7 * time.Second, Grace: 1500 * time.Millisecond,
	}
	for file, rendered := range map[string]func(w *bytes.Buffer) error{
		"plain.yaml": func(w *bytes.Buffer) error {
			m, err := Manifest(workload(twoWraps(0)), Settings{})
			if err != nil {
				return err
			}
			return Render(w, m.Objects())
		},
		"full.yaml": func(w *bytes.Buffer) error {
			m, err := Manifest(full, settings)
			if err != nil {
				return err
			}
			objects, err := m.Waved()
			if err != nil {
				return err
			}
			return Render(w, objects)
		},
		"knative.yaml": func(w *bytes.Buffer) error {
			objects, err := Knative(full, settings)
			if err != nil {
				return err
			}
			return Render(w, objects)
		},
		"planned.yaml": func(w *bytes.Buffer) error {
			m, err := Manifest(planned(twoWraps(0), flowDefinition), Settings{})
			if err != nil {
				return err
			}
			return Render(w, m.Objects())
		},
		"knative-planned.yaml": func(w *bytes.Buffer) error {
			objects, err := Knative(planned(twoWraps(0), flowDefinition), Settings{Namespace: "shop"})
			if err != nil {
				return err
			}
			return Render(w, objects)
		},
	} {
		t.Run(file, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := errors.Join(rendered(&first), rendered(&second)); err != nil {
				t.Fatal(err)
			}
			if first.String() != second.String() {
				t.Error("rendered twice, it differs")
			}
			golden(t, filepath.Join("testdata", file), first.Bytes())
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./deploy/kubernetes -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// TestRevision: what makes other pods is another revision, what does not is the same.
func TestRevision(t *testing.T) {
	base := workload(twoWraps(0))
	made := func(w Workload, s Settings) string {
		t.Helper()
		m, err := Manifest(w, s)
		if err != nil {
			t.Fatal(err)
		}
		return m.Revision
	}
	first := made(base, Settings{})
	if got := made(base, Settings{Min: 3, Max: 3, From: []string{"a"}}); got != first {
		t.Errorf("other numbers of pods: revision %s, was %s", got, first)
	}
	image, env, plans := workload(twoWraps(0)), base, workload(twoWraps(1<<30))
	image.Images["wrap-2"] = "other"
	env.Env = []string{"A=1"}
	seen := map[string]string{first: "the first"}
	brought, changed := planned(twoWraps(0), flowDefinition), planned(twoWraps(0), strings.Replace(flowDefinition, "true", "false", 1))
	for what, w := range map[string]Workload{"an image": image, "a variable": env, "the plan": plans, "who brings the plan": brought, "the definition": changed} {
		r := made(w, Settings{})
		if seen[r] != "" {
			t.Errorf("another of %s: the revision is that of %s", what, seen[r])
		}
		seen[r] = what
		if !strings.HasPrefix(r, shortPlan(w.Plan.Digest())+"-") {
			t.Errorf("revision %s does not begin with the plan's id %s", r, w.Plan.Digest())
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	gateway, nameless, imageless := workload(twoWraps(0)), workload(twoWraps(0)), workload(twoWraps(0))
	gateway.Plan.Calls = plan.ThroughGateway
	nameless.Name = "No Name"
	imageless.Images["wrap-2"] = ""
	large, broken := planned(twoWraps(0), `"`+strings.Repeat("x", 1<<20)+`"`), planned(twoWraps(0), flowDefinition[:20])
	for want, c := range map[string]struct {
		w Workload
		s Settings
	}{
		"called through a gateway":  {gateway, Settings{}},
		`"No Name"`:                 {nameless, Settings{}},
		`no image of wrap "wrap-2"`: {imageless, Settings{}},
		"a cluster's ConfigMap holds 1048576: deploy images of the plan": {large, Settings{}},
		"definition is not JSON": {broken, Settings{}},
		"no plan":                {Workload{Name: "x"}, Settings{}},
		"replicas 3 to 2":        {workload(twoWraps(0)), Settings{Min: 3, Max: 2}},
		"memory -1":              {workload(twoWraps(0)), Settings{Memory: -1}},
		"utilization 101":        {workload(twoWraps(0)), Settings{Utilization: 101}},
		`namespace "A.b"`:        {workload(twoWraps(0)), Settings{Namespace: "A.b"}},
		`namespace "_"`:          {workload(twoWraps(0)), Settings{From: []string{"_"}}},
		"overcommit -2":          {workload(twoWraps(0)), Settings{Overcommit: -2}},
		"linger -1ns":            {workload(twoWraps(0)), Settings{Linger: -1}},
	} {
		if _, err := Manifest(c.w, c.s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	if _, err := Knative(workload(twoWraps(0)), Settings{}); err == nil || !strings.Contains(err.Error(), "--namespace") {
		t.Errorf("Knative without a namespace: %v", err)
	}
}

// FuzzObjectName: every name is one that Kubernetes takes for a Service, and names
// that differ stay apart.
func FuzzObjectName(f *testing.F) {
	f.Add("flow", "wrap-1")
	f.Add("007", "wrap-1")
	f.Add(strings.Repeat("a", 63), "w"+strings.Repeat("b", 62))
	f.Fuzz(func(t *testing.T, deployment, wrap string) {
		if !dnslabel.Valid(deployment) || !dnslabel.Valid(wrap) {
			t.Skip()
		}
		name := objectName(deployment, wrap, "01234567-abcdef")
		if !dnslabel.Valid(name) || name[0] < 'a' {
			t.Errorf("%q is no name of a Service", name)
		}
		if !strings.HasSuffix(name, "-01234567-abcdef") {
			t.Errorf("%q has lost the revision", name)
		}
		if other := objectName(deployment, wrap+"x", "01234567-abcdef"); other == name {
			t.Errorf("%q is the name of two", name)
		}
	})
}

func TestLabelValue(t *testing.T) {
	for s, want := range map[string]string{"flow": "flow", "Größe 1": "Gr--e-1", "-x_": "x", "": "", strings.Repeat("a", 80): strings.Repeat("a", 63)} {
		if got := labelValue(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
	}}}}
}

// TestUnpulled: what a kubelet says of a pull, without what it repeats, and what to do.
func TestUnpulled(t *testing.T) {
	const repeats = `Back-off pulling image "r/i:v": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "r/i:v": failed to resolve reference "r/i:v": `
	for _, c := range []struct {
		words, secret, want string
	}{
		{repeats + "r/i:v: not found", "", "its image r/i:v cannot be pulled: r/i:v: not found: push it there, or look at --registry and --tag"},
		{repeats + "pull access denied\nno basic auth credentials", "", "cannot be pulled: pull access denied no basic auth credentials: the registry asks for a password: name a secret that has it with --pull-secret"},
		{repeats + "unexpected status: 401 Unauthorized", "x", "refuses the password of the pull secret x: make it anew (kubectl create secret docker-registry)"},
		{"dial tcp: no route to host", "x", "its image r/i:v cannot be pulled: dial tcp: no route to host"},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "r/i:v"}}, ImagePullSecrets: secrets(nil)}}
		if c.secret != "" {
			p.Spec.ImagePullSecrets = secrets([]string{c.secret})
		}
		if got := unpulled(p, c.words); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q\nis not %q", got, c.want)
		}
	}
}

// TestHindered says of each state of a pod what its user is told.
func TestHindered(t *testing.T) {
	died := func(restarts int32, reason, message string, code int32) corev1.PodStatus {
		s := waiting("CrashLoopBackOff", "back-off 10s restarting failed container")
		if restarts < 2 {
			s.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		}
		s.ContainerStatuses[0].RestartCount = restarts
		s.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, Message: message, ExitCode: code}
		return s
	}
	log := `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"serving"}` + "\n" +
		`{"time":"2026-01-02T03:04:06Z","level":"ERROR","msg":"import function \"a\": No module named 'x'"}` + "\n"
	for name, c := range map[string]struct {
		status  corev1.PodStatus
		want    string
		lasting bool
	}{
		"begun":         {corev1.PodStatus{}, "being started", false},
		"pulled":        {waiting("ErrImagePull", "connection refused"), "its image img cannot be pulled: connection refused", false},
		"pulled again":  {waiting("ImagePullBackOff", "Back-off"), "its image img cannot be pulled: Back-off", true},
		"no image":      {waiting("ErrImageNeverPull", ""), "its image img cannot be pulled: ErrImageNeverPull", true},
		"bad name":      {waiting("InvalidImageName", "couldn't parse"), "couldn't parse", true},
		"no secret":     {waiting("CreateContainerConfigError", `secret "x" not found`), `secret "x" not found`, true},
		"other":         {waiting("CreateContainerError", "runc failed"), "runc failed", false},
		"being made":    {waiting("ContainerCreating", ""), "being started", false},
		"died once":     {died(1, "Error", log, 1), `import function "a": No module named 'x'`, false},
		"dies":          {died(3, "Error", log, 1), `import function "a": No module named 'x'`, true},
		"no words":      {died(3, "Error", "", 137), "code 137", true},
		"other words":   {died(3, "StartError", "exec: no such file", 128), "exec: no such file", true},
		"out of memory": {died(3, "OOMKilled", "", 137), "it has 64 MiB", true},
		"evicted":       {corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "disk is full"}, "Evicted disk is full", false},
		"ready":         {corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}, "", false},
	} {
		m, err := Manifest(workload(twoWraps(64<<20)), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		p := corev1.Pod{Spec: m.Wraps[0].Deployment.Spec.Template.Spec, Status: c.status}
		p.Spec.Containers[0].Image = "img"
		got := podHindered(&p)
		if !strings.Contains(got.Message, c.want) || c.want == "" && got.Message != "" || got.Lasting != c.lasting {
			t.Errorf("%s: %+v, want %q, lasting %v", name, got, c.want, c.lasting)
		}
	}
}

func TestLogs(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	if err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(0))); err != nil {
		t.Fatal(err)
	}
	logs := map[string]string{
		"wrap-1": `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"first","function":"a","request_id":"r1","stream":"stdout"}` + "\nno JSON\n" +
			`{"time":"2026-01-02T03:04:07Z","level":"INFO","msg":"third"}` + "\n",
		"wrap-2": `{"time":"2026-01-02T03:04:06Z","level":"INFO","msg":"second","function":"b"}` + "\n",
	}
	f.Logs = func(p *corev1.Pod) string { return logs[p.Labels[LabelWrap]] }
	read := func(o deploy.LogOptions) (texts []string) {
		t.Helper()
		err := target.Logs(t.Context(), "flow", o, func(l deploy.LogLine) error {
			texts = append(texts, l.Wrap+" "+l.Function+" "+l.Text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return texts
	}
	for _, c := range []struct {
		o    deploy.LogOptions
		want []string
	}{
		{deploy.LogOptions{}, []string{"wrap-1  no JSON", "wrap-1 a first", "wrap-2 b second", "wrap-1  third"}},
		{deploy.LogOptions{Tail: 2}, []string{"wrap-2 b second", "wrap-1  third"}},
		{deploy.LogOptions{Function: "b"}, []string{"wrap-2 b second"}},
		{deploy.LogOptions{Wraps: []string{"wrap-2"}}, []string{"wrap-2 b second"}},
		{deploy.LogOptions{Since: time.Date(2026, 1, 2, 3, 4, 6, 1, time.UTC), Wraps: []string{"wrap-1", "wrap-2"}}, []string{"wrap-1  no JSON", "wrap-1  third"}},
	} {
		if got := read(c.o); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
	if err := target.Logs(t.Context(), "other", deploy.LogOptions{}, nil); !errors.Is(err, deploy.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
}

// TestUnreached: a cluster that is down, or that is none.
func TestUnreached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	c, err := ClientFor(&rest.Config{Host: "http://" + l.Addr().String()}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Namespace() != "default" {
		t.Errorf("namespace %q", c.Namespace())
	}
	target, err := New(Options{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.List(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("error %v", err)
	}
}

// TestNoImage: what brings bundles up has to know their images; what only looks
// need not.
func TestNoImage(t *testing.T) {
	target := newFakeCluster(t).target(Options{})
	if list, err := target.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	_, up := target.Up(t.Context(), deploy.Deployment{Name: "flow"})
	_, apply := target.Apply(t.Context(), deploy.Deployment{Name: "flow"})
	for _, err := range []error{up, apply} {
		if err == nil || !strings.Contains(err.Error(), `"flow"`) || !strings.Contains(err.Error(), "set Options.Image") {
			t.Errorf("error %v", err)
		}
	}
}

// TestAccess reads which cluster is meant.
func TestAccess(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("KUBECONFIG", filepath.Join(dir, "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := NewClient(Access{}); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("without a file: %v", err)
	}
	file := filepath.Join(dir, "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: one\nclusters:\n- {name: c, cluster: {server: 'http://127.0.0.1:1'}}\n" +
		"users:\n- {name: u, user: {token: t}}\ncontexts:\n- {name: one, context: {cluster: c, user: u, namespace: shop}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(Access{Kubeconfig: file})
	if err != nil || c.Namespace() != "shop" || c.String() != "namespace shop of http://127.0.0.1:1 (context one)" {
		t.Errorf("%v, %v", c, err)
	}
	if c, err = NewClient(Access{Kubeconfig: file, Namespace: "other"}); err != nil || c.Namespace() != "other" {
		t.Errorf("%v, %v", c, err)
	}
	for want, a := range map[string]Access{
		"nowhere": {Kubeconfig: filepath.Join(dir, "nowhere")},
		`"two"`:   {Kubeconfig: file, Context: "two"},
	} {
		if _, err := NewClient(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

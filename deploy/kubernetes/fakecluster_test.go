package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/chiron-faas/chiron/plan"
)

// fakeCluster is an API server of one namespace, and what makes pods of Deployments.
// What it knows of Kubernetes is as much as the target asks; apiserver_test.go has the
// true one.
type fakeCluster struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	objects map[string]map[string]any // by path; guarded by mu
	// events are what was done, "PATCH deployments x"; guarded by mu
	events []string
	// pod says in which state the pods of a Deployment are; nil: ready. Called with mu.
	pod func(d *appsv1.Deployment) corev1.PodStatus
	// refuse answers a request; nil, or a nil answer: the server does.
	refuse func(req *http.Request) *metav1.Status
	// slow is how long a Deployment's pods stay after it.
	slow time.Duration
	logs map[string]string // of pods, by wrap
}

func newFakeCluster(t *testing.T) *fakeCluster {
	f := &fakeCluster{t: t, objects: make(map[string]map[string]any)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeCluster) client() *Client {
	f.t.Helper()
	c, err := ClientFor(&rest.Config{Host: f.url}, "here")
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// target is one of the cluster, whose waits are short.
func (f *fakeCluster) target(o Options) *Target {
	f.t.Helper()
	o.Client = f.client()
	if o.StartTimeout == 0 {
		o.StartTimeout = 20 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = time.Millisecond
	}
	target, err := New(o)
	if err != nil {
		f.t.Fatal(err)
	}
	return target
}

// ServeHTTP implements http.Handler.
func (f *fakeCluster) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		if status := f.refuse(req); status != nil {
			answer(w, int(status.Code), status)
			return
		}
	}
	if req.URL.Path == "/api/v1/namespaces/here" {
		answer(w, http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "here"}})
		return
	}
	_, rest, ok := strings.Cut(req.URL.Path, "/namespaces/here/")
	if !ok {
		f.t.Errorf("%s %s: asked of another namespace", req.Method, req.URL)
	}
	resource, name, _ := strings.Cut(rest, "/")
	name, sub, _ := strings.Cut(name, "/")
	key := resource + "/" + name
	switch {
	case sub == "log":
		var p corev1.Pod
		f.read(key, &p)
		_, _ = fmt.Fprint(w, f.logs[p.Labels[LabelWrap]])
	case req.Method == http.MethodGet && name == "":
		f.list(w, resource, req.URL.Query().Get("labelSelector"))
	case req.Method == http.MethodGet:
		if o := f.objects[key]; o != nil {
			answer(w, http.StatusOK, o)
			return
		}
		answer(w, http.StatusNotFound, notFoundStatus(resource, name))
	case req.Method == http.MethodPatch:
		if q := req.URL.Query(); q.Get("fieldManager") != Manager || q.Get("force") != "true" || req.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			f.t.Errorf("%s %s is no server-side apply", req.Method, req.URL)
		}
		var o map[string]any
		if err := json.NewDecoder(req.Body).Decode(&o); err != nil {
			f.t.Error(err)
		}
		f.events = append(f.events, "PATCH "+key)
		f.apply(key, resource, o)
		answer(w, http.StatusOK, f.objects[key])
	case req.Method == http.MethodDelete:
		f.events = append(f.events, "DELETE "+key)
		if f.objects[key] == nil {
			answer(w, http.StatusNotFound, notFoundStatus(resource, name))
			return
		}
		f.remove(key, resource)
		answer(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	default:
		f.t.Errorf("%s %s was not expected", req.Method, req.URL)
	}
}

func notFoundStatus(resource, name string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound,
		Message: fmt.Sprintf("%s %q not found", resource, name), Details: &metav1.StatusDetails{Name: name, Kind: resource},
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fakeCluster) list(w http.ResponseWriter, resource, selector string) {
	chosen, err := labels.Parse(selector)
	if err != nil {
		f.t.Error(err)
		return
	}
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		var o metav1.PartialObjectMetadata
		f.read(key, &o)
		if strings.HasPrefix(key, resource+"/") && chosen.Matches(labels.Set(o.Labels)) {
			items = append(items, f.objects[key])
		}
	}
	answer(w, http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

func (f *fakeCluster) read(key string, to any) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(f.objects[key], to); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeCluster) write(key string, o any) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		f.t.Error(err)
	}
	f.objects[key] = content
}

// apply makes an object, and what follows from it.
func (f *fakeCluster) apply(key, resource string, o map[string]any) {
	f.objects[key] = o
	switch resource {
	case "services":
		var s corev1.Service
		f.read(key, &s)
		s.Spec.ClusterIP = "10.0.0.1"
		f.write(key, &s)
	case "deployments":
		f.reconcile(key)
	}
}

// reconcile makes the pods of a Deployment.
func (f *fakeCluster) reconcile(key string) {
	var d appsv1.Deployment
	f.read(key, &d)
	if d.CreationTimestamp.IsZero() {
		d.CreationTimestamp = metav1.Now()
	}
	d.Generation = 1
	n := int32(1)
	if d.Spec.Replicas != nil {
		n = *d.Spec.Replicas
	}
	status := corev1.PodStatus{PodIP: "10.1.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if f.pod != nil {
		status = f.pod(&d)
	}
	for i := range n {
		p := corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: d.Spec.Template.Spec, Status: status}
		p.Name, p.CreationTimestamp = fmt.Sprintf("%s-%d", d.Name, i), d.CreationTimestamp
		f.write("pods/"+p.Name, &p)
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: n, UpdatedReplicas: n}
	if podReady(&corev1.Pod{Status: status}) {
		d.Status.AvailableReplicas = n
	}
	f.write(key, &d)
}

func (f *fakeCluster) remove(key, resource string) {
	delete(f.objects, key)
	if resource != "deployments" {
		return
	}
	name := strings.TrimPrefix(key, "deployments/")
	gone := func() {
		for k := range f.objects {
			if strings.HasPrefix(k, "pods/"+name+"-") {
				delete(f.objects, k)
			}
		}
	}
	if f.slow == 0 {
		gone()
		return
	}
	time.AfterFunc(f.slow, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, "GONE "+name)
		gone()
	})
}

// do runs something while nobody asks the cluster.
func (f *fakeCluster) do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// left are the names of all objects.
func (f *fakeCluster) left() (all []string) {
	f.do(func() { all = slices.Sorted(maps.Keys(f.objects)) })
	return all
}

// twoWraps is a plan of two wraps; memory tells plans apart.
func twoWraps(memory int64) *plan.Plan {
	wrap := func(name string, tasks ...string) plan.Wrap {
		return plan.Wrap{Name: name, CPUs: 1, Memory: memory, Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: tasks}}}
	}
	return &plan.Plan{Workflow: "flow", Model: "chiron", Wraps: []plan.Wrap{wrap("wrap-1", "A"), wrap("wrap-2", "B", "C")}}
}

func workload(p *plan.Plan) Workload {
	w := Workload{Name: "flow", Plan: p, Images: make(map[string]string), Functions: map[string][]string{"wrap-1": {"a"}, "wrap-2": {"b", "c"}}}
	for i := range p.Wraps {
		w.Images[p.Wraps[i].Name] = "registry.example.org/team/flow-" + p.Wraps[i].Name + ":v1"
	}
	return w
}

const flowDefinition = `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"a","Next":"B"},"B":{"Type":"Task","Resource":"b","Next":"C"},"C":{"Type":"Task","Resource":"c","End":true}}}`

// planned is a workload whose images hold functions only.
func planned(p *plan.Plan, definition string) Workload {
	w := workload(p)
	w.Definition = []byte(definition)
	return w
}

func (f *fakeCluster) manifest(target *Target, p *plan.Plan) *Manifests {
	f.t.Helper()
	m, err := target.Manifest(workload(p))
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// Package clustertest is a small cluster for the tests of what deploys on one.
package clustertest

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
)

// Cluster is an API server of one namespace, and what makes pods of Deployments.
// What it knows of Kubernetes is as much as package kubernetes asks; test/kube has
// the true one.
type Cluster struct {
	// URL of the server.
	URL string

	t         *testing.T
	namespace string
	mu        sync.Mutex
	// Objects by path, "deployments/x"; guarded by mu, as all that follows: see Do.
	Objects map[string]map[string]any
	// Events are what was done, "PATCH deployments/x".
	Events []string
	// Pod says in which state the pods of a Deployment are; nil: ready.
	Pod func(d *appsv1.Deployment) corev1.PodStatus
	// Refuse answers a request; nil, or a nil answer: the server does.
	Refuse func(req *http.Request) *metav1.Status
	// Now is when Deployments are made; nil: now.
	Now func() time.Time
	// Slow is how long a Deployment's pods stay after it.
	Slow time.Duration
	// Logs of a pod; nil: none.
	Logs func(p *corev1.Pod) string
}

// New starts a cluster of a namespace, which ends with the test.
func New(t *testing.T, namespace string) *Cluster {
	f := &Cluster{t: t, namespace: namespace, Objects: make(map[string]map[string]any)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// ServeHTTP implements http.Handler.
func (f *Cluster) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Refuse != nil {
		if status := f.Refuse(req); status != nil {
			Answer(w, int(status.Code), status)
			return
		}
	}
	if req.URL.Path == "/api/v1/namespaces/"+f.namespace {
		Answer(w, http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": f.namespace}})
		return
	}
	_, rest, ok := strings.Cut(req.URL.Path, "/namespaces/"+f.namespace+"/")
	if !ok {
		f.t.Errorf("%s %s: asked of another namespace", req.Method, req.URL)
	}
	resource, name, _ := strings.Cut(rest, "/")
	name, sub, _ := strings.Cut(name, "/")
	key := resource + "/" + name
	switch {
	case sub == "log":
		var p corev1.Pod
		f.Read(key, &p)
		if f.Logs != nil {
			_, _ = fmt.Fprint(w, f.Logs(&p))
		}
	case req.Method == http.MethodGet && name == "":
		f.list(w, resource, req.URL.Query().Get("labelSelector"))
	case req.Method == http.MethodGet:
		if o := f.Objects[key]; o != nil {
			Answer(w, http.StatusOK, o)
			return
		}
		Answer(w, http.StatusNotFound, NotFound(resource, name))
	case req.Method == http.MethodPatch:
		if q := req.URL.Query(); q.Get("fieldManager") != "chiron" || q.Get("force") != "true" || req.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			f.t.Errorf("%s %s is no server-side apply", req.Method, req.URL)
		}
		var o map[string]any
		if err := json.NewDecoder(req.Body).Decode(&o); err != nil {
			f.t.Error(err)
		}
		f.Events = append(f.Events, "PATCH "+key)
		f.apply(key, resource, o)
		Answer(w, http.StatusOK, f.Objects[key])
	case req.Method == http.MethodDelete:
		f.Events = append(f.Events, "DELETE "+key)
		if f.Objects[key] == nil {
			Answer(w, http.StatusNotFound, NotFound(resource, name))
			return
		}
		f.remove(key, resource)
		Answer(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	default:
		f.t.Errorf("%s %s was not expected", req.Method, req.URL)
	}
}

// NotFound is how the API says that an object is not there.
func NotFound(resource, name string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound,
		Message: fmt.Sprintf("%s %q not found", resource, name), Details: &metav1.StatusDetails{Name: name, Kind: resource},
	}
}

// Answer writes an object as the API does.
func Answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (f *Cluster) list(w http.ResponseWriter, resource, selector string) {
	chosen, err := labels.Parse(selector)
	if err != nil {
		f.t.Error(err)
		return
	}
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(f.Objects)) {
		var o metav1.PartialObjectMetadata
		f.Read(key, &o)
		if strings.HasPrefix(key, resource+"/") && chosen.Matches(labels.Set(o.Labels)) {
			items = append(items, f.Objects[key])
		}
	}
	Answer(w, http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

// Read reads an object.
func (f *Cluster) Read(key string, to any) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(f.Objects[key], to); err != nil {
		f.t.Error(err)
	}
}

// Write makes an object, or changes it.
func (f *Cluster) Write(key string, o any) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		f.t.Error(err)
	}
	f.Objects[key] = content
}

// apply makes an object, and what follows from it.
func (f *Cluster) apply(key, resource string, o map[string]any) {
	f.Objects[key] = o
	switch resource {
	case "services":
		var s corev1.Service
		f.Read(key, &s)
		s.Spec.ClusterIP = "10.0.0.1"
		f.Write(key, &s)
	case "deployments":
		f.Reconcile(key)
	}
}

// Reconcile makes the pods of a Deployment.
func (f *Cluster) Reconcile(key string) {
	var d appsv1.Deployment
	f.Read(key, &d)
	if d.CreationTimestamp.IsZero() {
		d.CreationTimestamp = metav1.Now()
		if f.Now != nil {
			d.CreationTimestamp = metav1.NewTime(f.Now())
		}
	}
	d.Generation = 1
	n := int32(1)
	if d.Spec.Replicas != nil {
		n = *d.Spec.Replicas
	}
	status := corev1.PodStatus{PodIP: "10.1.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if f.Pod != nil {
		status = f.Pod(&d)
	}
	for i := range n {
		p := corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: d.Spec.Template.Spec, Status: status}
		p.Name, p.CreationTimestamp = fmt.Sprintf("%s-%d", d.Name, i), d.CreationTimestamp
		f.Write("pods/"+p.Name, &p)
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: n, UpdatedReplicas: n}
	if slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}) {
		d.Status.AvailableReplicas = n
	}
	f.Write(key, &d)
}

func (f *Cluster) remove(key, resource string) {
	delete(f.Objects, key)
	if resource != "deployments" {
		return
	}
	name := strings.TrimPrefix(key, "deployments/")
	gone := func() {
		for k := range f.Objects {
			if strings.HasPrefix(k, "pods/"+name+"-") {
				delete(f.Objects, k)
			}
		}
	}
	if f.Slow == 0 {
		gone()
		return
	}
	time.AfterFunc(f.Slow, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.Events = append(f.Events, "GONE "+name)
		gone()
	})
}

// Do runs something while nobody asks the cluster.
func (f *Cluster) Do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Left are the names of all objects.
func (f *Cluster) Left() (all []string) {
	f.Do(func() { all = slices.Sorted(maps.Keys(f.Objects)) })
	return all
}

// Did is what was done so far.
func (f *Cluster) Did() (events []string) {
	f.Do(func() { events = slices.Clone(f.Events) })
	return events
}

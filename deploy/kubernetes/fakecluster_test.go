package kubernetes

import (
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/chiron-faas/chiron/deploy/kubernetes/clustertest"
	"github.com/chiron-faas/chiron/plan"
)

// fakeCluster is a cluster of namespace "here".
type fakeCluster struct {
	*clustertest.Cluster
	t *testing.T
}

func newFakeCluster(t *testing.T) *fakeCluster {
	return &fakeCluster{clustertest.New(t, "here"), t}
}

func (f *fakeCluster) client() *Client {
	f.t.Helper()
	c, err := ClientFor(&rest.Config{Host: f.URL}, "here")
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

package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/internal/objectstore"
	"github.com/chiron-faas/chiron/test/kube/cluster"
)

// on are flags of the verbs that look at what is deployed.
func (u *user) on(args ...string) []string {
	return append(args, "--target", "kubernetes", "--namespace", u.namespace)
}

type pod struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Containers []struct {
			Image string `json:"image"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		QOSClass string `json:"qosClass"`
	} `json:"status"`
}

// pods are those that are there, of a Deployment or of all.
func (u *user) pods(deployment string) []pod {
	u.t.Helper()
	var list struct {
		Items []pod `json:"items"`
	}
	args := []string{"pods"}
	if deployment != "" {
		var d struct {
			Spec struct {
				Selector struct {
					MatchLabels map[string]string `json:"matchLabels"`
				} `json:"selector"`
			} `json:"spec"`
		}
		u.read(&d, "deployment", deployment)
		var labels []string
		for k, v := range d.Spec.Selector.MatchLabels {
			labels = append(labels, k+"="+v)
		}
		args = append(args, "-l", strings.Join(labels, ","))
	}
	u.read(&list, args...)
	return list.Items
}

// left are the objects in the namespace that the cluster has not made itself.
func (u *user) left() []string {
	u.t.Helper()
	// Everything that is namespaced and can be listed.
	kinds := strings.Fields(u.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name"))
	kinds = slices.DeleteFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "events") })
	var left []string
	for _, line := range strings.Fields(u.kubectl("get", strings.Join(kinds, ","), "-o", "name", "--ignore-not-found")) {
		if line != "configmap/kube-root-ca.crt" && line != "serviceaccount/default" {
			left = append(left, line)
		}
	}
	return left
}

// TestDeploy: FINRA-5 in three wraps answers as it does on this machine, however it is
// called, and goes without a trace.
func TestDeploy(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 3)
	d := p.deploy("deploy")

	input := "@" + p.dir + "/sample.json"
	var got any
	if err := json.Unmarshal([]byte(p.chiron(p.on("invoke", d.Name, "-d", input)...)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.want, got); diff != "" {
		t.Errorf("chiron invoke: another answer than on this machine (-here +cluster):\n%s", diff)
	}

	var status []struct {
		Name  string
		State string
		Wraps []struct{ Name, State string }
	}
	text := p.chiron(p.on("ps", "--output", "json")...)
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(status) != 1 || status[0].State != "up" || len(status[0].Wraps) != len(p.plan.Wraps) {
		t.Errorf("chiron ps: %s", text)
	}
	for _, pod := range p.pods("") {
		if pod.Status.QOSClass != "Guaranteed" {
			t.Errorf("pod %s is of the class %s", pod.Metadata.Name, pod.Status.QOSClass)
		}
	}
	if log := p.chiron(p.on("logs", d.Name)...); !strings.Contains(log, "wrap-3") {
		t.Errorf("chiron logs says nothing of wrap-3: %s", log)
	}
	d.down()
}

// TestRegistry: chiron builds the images and pushes them, and the node pulls them by
// their digests.
func TestRegistry(t *testing.T) {
	t.Parallel()
	p := newProject(t, "hello", 2)
	d := p.apply("pushed", "--registry", serveRegistry(t)+"/team", "--base", p.base)
	for _, pod := range p.pods("") {
		if image := pod.Spec.Containers[0].Image; !strings.HasPrefix(image, cluster.Registry+"/team/hello-wrap-") || !strings.Contains(image, "@sha256:") {
			t.Errorf("pod %s runs %s", pod.Metadata.Name, image)
		}
	}
	d.down()
}

// TestObjectStore: SLApp's functions reach a store outside the cluster, by what the
// project says of its address, and answer as on this machine.
func TestObjectStore(t *testing.T) {
	t.Parallel()
	store, err := objectstore.Listen(t.Context(), running(t).Machine()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	p := newProject(t, "slapp", 2,
		`"http://127.0.0.1:9753"`, `"http://`+store.Addr()+`"`,
		"objectStore: 127.0.0.1:9753", "")
	p.deploy("slapp").down()
}

// TestScale: a deployment gets more pods of every wrap, and fewer, while it is used,
// and no request fails.
func TestScale(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 2)
	d := p.deploy("scale", "--instances", "1")
	l := steadily(d)
	for _, n := range []int{3, 1} {
		l.more(20)
		d = p.apply("scale", "--instances", fmt.Sprint(n))
		eventually(t, 90*time.Second, func() error {
			for _, w := range d.Wraps {
				if got := len(p.pods(w.Deployment)); got != n {
					return fmt.Errorf("%s has %d pods, not %d", w.Wrap, got, n)
				}
			}
			return nil
		})
	}
	l.more(20)
	l.stop()
}

// TestRoll: another plan takes the place of one that is used, and no request fails
// or is answered wrongly; then the one before is gone.
func TestRoll(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 3)
	d := p.deploy("before")
	old := p.pods("")
	if len(old) != len(p.plan.Wraps) {
		t.Fatalf("%d pods of %d wraps", len(old), len(p.plan.Wraps))
	}
	l := steadily(d)
	l.more(20)
	p.place(2)
	d = p.deploy("after")
	l.more(40)
	l.stop()
	eventually(t, 90*time.Second, func() error {
		now := p.pods("")
		for _, n := range now {
			if slices.ContainsFunc(old, func(o pod) bool { return o.Metadata.Name == n.Metadata.Name }) {
				return fmt.Errorf("pod %s of the plan before is still there", n.Metadata.Name)
			}
		}
		if len(now) != len(p.plan.Wraps) {
			return fmt.Errorf("%d pods of %d wraps", len(now), len(p.plan.Wraps))
		}
		return nil
	})
	d.answers()
	d.down()
}

// TestKill: pods that end without a word are replaced.
func TestKill(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 2)
	d := p.deploy("kill")
	for _, pod := range p.pods("") {
		p.kubectl("delete", "pod", pod.Metadata.Name, "--force", "--grace-period=0")
		d.answers()
	}
	d.down()
}

// TestDrain: a node that is drained gives away pods of which others are left, and
// keeps the last of each wrap; no request fails. It is not parallel: no pod of other
// tests would find a node.
func TestDrain(t *testing.T) {
	p := newProject(t, "finra-5", 2)
	d := p.deploy("drain", "--instances", "2")
	before := p.pods("")
	l := steadily(d)
	l.more(20)
	const node = cluster.NodeName
	t.Cleanup(func() { p.try("kubectl", "uncordon", node) }) // where the test ends before
	// There is no other node, so that evicted pods are not replaced and it cannot end.
	s := p.try("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=25s")
	if s.code == 0 || !strings.Contains(s.errors, "disruption budget") {
		t.Errorf("the node was drained of all pods: %s%s", s.out, s.errors)
	}
	l.more(20)
	evicted := len(before)
	for _, now := range p.pods("") {
		if slices.ContainsFunc(before, func(o pod) bool { return o.Metadata.Name == now.Metadata.Name }) {
			evicted--
		}
	}
	if evicted != len(before)/2 {
		t.Errorf("%d of %d pods were evicted, not the half of them", evicted, len(before))
	}
	p.kubectl("uncordon", node)
	p.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
	l.more(20)
	l.stop()
	d.down()
}

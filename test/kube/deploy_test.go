package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/chiron-faas/chiron/internal/objectstore"
	"github.com/chiron-faas/chiron/test/kube/cluster"
)

// deployment is one of ours in the cluster.
type deployment struct {
	user    *user
	project string
	Name    string `json:"name"`
	URL     string `json:"url"`
	Wraps   []struct {
		Wrap       string `json:"wrap"`
		Deployment string `json:"deployment"`
	} `json:"wraps"`
}

// deploy gives the images of the project's plan to the node and deploys them.
func (u *user) deploy(project, tag string, flags ...string) *deployment {
	u.t.Helper()
	u.images(project, tag)
	return u.apply(project, tag, flags...)
}

// apply deploys images that the node has.
func (u *user) apply(project, tag string, flags ...string) *deployment {
	u.t.Helper()
	d := &deployment{user: u, project: project}
	text := u.chiron(u.deploying(project, tag, append(flags, "--output", "json")...)...)
	if err := json.Unmarshal([]byte(text), d); err != nil {
		u.t.Fatalf("%v: %s", err, text)
	}
	return d
}

func (u *user) deploying(project, tag string, flags ...string) []string {
	return append([]string{"deploy", project, "--target", "kubernetes", "--namespace", u.namespace, "--tag", tag}, flags...)
}

// url of the workflow's Service, as the machine reaches it.
func (d *deployment) url() string {
	d.user.t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		d.user.t.Fatal(err)
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return d.user.service(name)
}

// answer is the workflow's to the sample.
func (d *deployment) answer() (any, error) {
	return invoke(d.user.t.Context(), http.DefaultClient, d.url(), sample(d.user.t, d.project))
}

// answers waits until the workflow's answer is want.
func (d *deployment) answers(want any) {
	d.user.t.Helper()
	eventually(d.user.t, time.Minute, func() error {
		got, err := d.answer()
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("another answer than on this machine (-here +cluster):\n%s", diff)
		}
		return nil
	})
}

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

// down takes a deployment down and looks that nothing of it stays.
func (d *deployment) down() {
	u := d.user
	u.t.Helper()
	u.chiron(u.on("down", d.Name)...)
	// The cluster removes what hangs on a Service some time after it.
	eventually(u.t, 30*time.Second, func() error {
		if left := u.left(); len(left) > 0 {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
}

// TestDeploy: FINRA-5 in three wraps answers as it does on this machine, however it is
// called, and goes without a trace.
func TestDeploy(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	project := copyOf(t, "finra-5")
	made := place(t, project, 3)
	want := u.locally(project)
	d := u.deploy(project, "deploy")
	d.answers(want)

	input := "@" + project + "/sample.json"
	var got any
	if err := json.Unmarshal([]byte(u.chiron(u.on("invoke", d.Name, "-d", input)...)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chiron invoke: another answer than on this machine (-here +cluster):\n%s", diff)
	}

	var status []struct {
		Name  string
		State string
		Wraps []struct{ Name, State string }
	}
	text := u.chiron(u.on("ps", "--output", "json")...)
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(status) != 1 || status[0].State != "up" || len(status[0].Wraps) != len(made.Wraps) {
		t.Errorf("chiron ps: %s", text)
	}
	for _, p := range u.pods("") {
		if p.Status.QOSClass != "Guaranteed" {
			t.Errorf("pod %s is of the class %s", p.Metadata.Name, p.Status.QOSClass)
		}
	}
	if log := u.chiron(u.on("logs", d.Name)...); !strings.Contains(log, "wrap-3") {
		t.Errorf("chiron logs says nothing of wrap-3: %s", log)
	}
	d.down()
}

// TestRegistry: chiron builds the images and pushes them, and the node pulls them by
// their digests.
func TestRegistry(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	listener, err := net.Listen("tcp", cluster.Registry)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // until Close
		close(served)
	}()
	t.Cleanup(func() { _ = server.Close(); <-served })
	project := copyOf(t, "hello")
	place(t, project, 2)
	want := u.locally(project)
	d := u.apply(project, "pushed", "--registry", cluster.Registry+"/team", "--base", u.base)
	d.answers(want)
	for _, p := range u.pods("") {
		if image := p.Spec.Containers[0].Image; !strings.HasPrefix(image, cluster.Registry+"/team/hello-wrap-") || !strings.Contains(image, "@sha256:") {
			t.Errorf("pod %s runs %s", p.Metadata.Name, image)
		}
	}
	d.down()
}

// TestObjectStore: SLApp's functions reach a store outside the cluster, by what the
// project says of its address, and answer as on this machine.
func TestObjectStore(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	store, err := objectstore.Listen(t.Context(), u.cluster.Machine()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	project := copyOf(t, "slapp",
		`"http://127.0.0.1:9753"`, `"http://`+store.Addr()+`"`,
		"objectStore: 127.0.0.1:9753", "")
	place(t, project, 2)
	want := u.locally(project)
	d := u.deploy(project, "slapp")
	d.answers(want)
	d.down()
}

// TestScale: a deployment gets more pods of every wrap, and fewer, while it is used,
// and no request fails.
func TestScale(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	project := copyOf(t, "finra-5")
	place(t, project, 2)
	want := u.locally(project)
	d := u.deploy(project, "scale", "--instances", "1")
	d.answers(want)
	l := steadily(t, d.url(), sample(t, project), want)
	for _, n := range []int{3, 1} {
		l.more(20)
		d = u.apply(project, "scale", "--instances", fmt.Sprint(n))
		eventually(t, 90*time.Second, func() error {
			for _, w := range d.Wraps {
				if got := len(u.pods(w.Deployment)); got != n {
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
	u := newUser(t)
	project := copyOf(t, "finra-5")
	before := place(t, project, 3)
	want := u.locally(project)
	d := u.deploy(project, "before")
	d.answers(want)
	old := u.pods("")
	if len(old) != len(before.Wraps) {
		t.Fatalf("%d pods of %d wraps", len(old), len(before.Wraps))
	}
	l := steadily(t, d.url(), sample(t, project), want)
	l.more(20)
	after := place(t, project, 2)
	d = u.deploy(project, "after")
	l.more(40)
	l.stop()
	eventually(t, 90*time.Second, func() error {
		now := u.pods("")
		for _, p := range now {
			if slices.ContainsFunc(old, func(o pod) bool { return o.Metadata.Name == p.Metadata.Name }) {
				return fmt.Errorf("pod %s of the plan before is still there", p.Metadata.Name)
			}
		}
		if len(now) != len(after.Wraps) {
			return fmt.Errorf("%d pods of %d wraps", len(now), len(after.Wraps))
		}
		return nil
	})
	d.answers(want)
	d.down()
}

// TestKill: pods that end without a word are replaced.
func TestKill(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	project := copyOf(t, "finra-5")
	place(t, project, 2)
	want := u.locally(project)
	d := u.deploy(project, "kill")
	d.answers(want)
	for _, p := range u.pods("") {
		u.kubectl("delete", "pod", p.Metadata.Name, "--force", "--grace-period=0")
		d.answers(want)
	}
	d.down()
}

// TestDrain: a node that is drained gives away pods of which others are left, and
// keeps the last of each wrap; no request fails. It is not parallel: no pod of other
// tests would find a node.
func TestDrain(t *testing.T) {
	u := newUser(t)
	project := copyOf(t, "finra-5")
	place(t, project, 2)
	want := u.locally(project)
	d := u.deploy(project, "drain", "--instances", "2")
	d.answers(want)
	before := u.pods("")
	l := steadily(t, d.url(), sample(t, project), want)
	l.more(20)
	const node = cluster.NodeName
	t.Cleanup(func() { u.try("kubectl", "uncordon", node) }) // where the test ends before
	// There is no other node, so that evicted pods are not replaced and it cannot end.
	s := u.try("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=25s")
	if s.code == 0 || !strings.Contains(s.errors, "disruption budget") {
		t.Errorf("the node was drained of all pods: %s%s", s.out, s.errors)
	}
	l.more(20)
	evicted := len(before)
	for _, p := range u.pods("") {
		if slices.ContainsFunc(before, func(o pod) bool { return o.Metadata.Name == p.Metadata.Name }) {
			evicted--
		}
	}
	if evicted != len(before)/2 {
		t.Errorf("%d of %d pods were evicted, not the half of them", evicted, len(before))
	}
	u.kubectl("uncordon", node)
	u.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
	l.more(20)
	l.stop()
	d.down()
}

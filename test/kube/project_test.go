package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// project is a user's copy of an example, with a plan, and what it answers on this
// machine.
type project struct {
	*user
	dir  string
	plan *plan.Plan
	want any
}

// newProject makes a user with an example in n wraps, and with texts in its project file
// replaced.
func newProject(t *testing.T, example string, n int, replace ...string) *project {
	t.Helper()
	p := newUser(t).project(example, n, replace...)
	p.want = p.locally()
	return p
}

// project is one that need not come so far that it answers.
func (u *user) project(example string, n int, replace ...string) *project {
	u.t.Helper()
	p := &project{user: u, dir: copyOf(u.t, example, replace...)}
	p.place(n)
	return p
}

// copyOf is an example in a folder of its own, with texts in its project file
// replaced.
func copyOf(t *testing.T, example string, replace ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), example)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("../../examples", example))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "chiron.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("%s has no %q", file, replace[i])
		}
	}
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// place writes a plan of the project: its tasks in n wraps, in turn, each in a process
// of its own on a CPU that the wrap's processes share.
func (p *project) place(n int) {
	p.t.Helper()
	loaded, err := workflow.Load(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	p.plan = &plan.Plan{Workflow: loaded.Name, Model: "test"}
	for i := range n {
		p.plan.Wraps = append(p.plan.Wraps, plan.Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: 1})
	}
	for i, task := range loaded.Definition.Tasks() {
		w := &p.plan.Wraps[i%n]
		w.Processes = append(w.Processes, plan.Process{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{task.Name}})
	}
	p.write()
}

// write writes the plan into the project's folder.
func (p *project) write() {
	p.t.Helper()
	if err := plan.Write(filepath.Join(p.dir, "plan.json"), p.plan); err != nil {
		p.t.Fatal(err)
	}
}

// sample is the input that comes with the project.
func (p *project) sample() []byte {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "sample.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// locally is the answer of the same project and plan on this machine.
func (p *project) locally() any {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, p.binary, "up", p.dir, "--listen", "127.0.0.1:0", "--output", "json")
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+p.user.dir, "XDG_CACHE_HOME="+filepath.Join(scratch, "cache"))
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 30 * time.Second
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var report struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	err = json.NewDecoder(out).Decode(&report)
	var answer any
	if err == nil {
		answer, err = invoke(ctx, http.DefaultClient, report.URL+"/function/"+report.Name, p.sample())
	}
	cancel()
	_ = c.Wait() // it was interrupted
	if err != nil {
		p.t.Fatalf("chiron up %s: %v\n%s", p.dir, err, &errs)
	}
	return answer
}

// images builds a project's, by the plan in its folder unless flags say otherwise, and
// gives them to the node.
func (p *project) images(tag string, flags ...string) (names []string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "images.tar")
	// The report is printed as JSON where -o says so, beside the file.
	text := p.chiron(append([]string{"build", p.dir, "--base", p.base, "--tag", tag, "-o", file, "-o", "json"}, flags...)...)
	var report struct {
		Images []struct {
			Name string `json:"name"`
		} `json:"images"`
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		p.t.Fatalf("%v: %s", err, text)
	}
	for _, i := range report.Images {
		names = append(names, i.Name)
	}
	in, err := os.Open(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := p.cluster.Import(p.t.Context(), in); err != nil {
		p.t.Fatal(err)
	}
	return names
}

// deployment is one of ours in the cluster.
type deployment struct {
	*project
	Name  string `json:"name"`
	URL   string `json:"url"`
	Wraps []struct {
		Wrap       string `json:"wrap"`
		Deployment string `json:"deployment"`
	} `json:"wraps"`
}

// deploy gives the images of the project's plan to the node and deploys them, and
// returns when the answer is right.
func (p *project) deploy(tag string, flags ...string) *deployment {
	p.t.Helper()
	p.images(tag)
	return p.apply(tag, flags...)
}

// apply deploys images that the node has, or gets.
func (p *project) apply(tag string, flags ...string) *deployment {
	p.t.Helper()
	d := &deployment{project: p}
	text := p.chiron(p.deploying(tag, append(flags, "--output", "json")...)...)
	if err := json.Unmarshal([]byte(text), d); err != nil {
		p.t.Fatalf("%v: %s", err, text)
	}
	d.answers()
	return d
}

func (p *project) deploying(tag string, flags ...string) []string {
	return append([]string{"deploy", p.dir, "--target", "kubernetes", "--namespace", p.namespace, "--tag", tag}, flags...)
}

// url of the workflow's Service, as the machine reaches it.
func (d *deployment) url() string {
	d.t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		d.t.Fatal(err)
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return d.service(name)
}

// answers waits until the workflow answers as on this machine.
func (d *deployment) answers() {
	d.t.Helper()
	eventually(d.t, time.Minute, func() error {
		got, err := invoke(d.t.Context(), http.DefaultClient, d.url(), d.sample())
		if err != nil {
			return err
		}
		if diff := cmp.Diff(d.want, got); diff != "" {
			return fmt.Errorf("another answer than on this machine (-here +cluster):\n%s", diff)
		}
		return nil
	})
}

// down takes a deployment down and looks that nothing of it stays.
func (d *deployment) down() {
	d.t.Helper()
	d.chiron(d.on("down", d.Name)...)
	// The cluster removes what hangs on a Service some time after it.
	eventually(d.t, 30*time.Second, func() error {
		if left := d.left(); len(left) > 0 {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
}

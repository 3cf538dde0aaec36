package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoRoom: where the cluster has no room for a wrap, the message says which asked
// for what; what runs goes on, and nothing of the new plan stays.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 2)
	d := p.deploy("small")
	before := p.left()

	p.plan.Wraps[1].CPUs = 64
	p.write()
	p.images("large")
	s := p.try("chiron", p.deploying("large", "--timeout", "15s")...)
	if s.code != 1 || !strings.Contains(s.errors, "wrap-2") || !strings.Contains(s.errors, "64 CPUs") || !strings.Contains(s.errors, "Insufficient cpu") {
		t.Errorf("exit code %d, and it does not say which wrap asked for what: %s", s.code, s.errors)
	}
	if after := p.left(); len(after) != len(before) {
		t.Errorf("there were %v, there are %v", before, after)
	}
	d.answers()
	d.down()
}

// TestNames: names that Kubernetes refuses are mapped to some that it takes, and
// shown.
func TestNames(t *testing.T) {
	for _, name := range []string{"007", strings.Repeat("long-", 10) + "end"} {
		t.Run(name[:3], func(t *testing.T) {
			t.Parallel()
			p := newProject(t, "hello", 2, "name: hello", `name: "`+name+`"`)
			d := p.deploy("names")
			// Without a name that had to be mapped, the test would be too kind.
			service, _, _ := strings.Cut(strings.TrimPrefix(d.URL, "http://"), ".")
			if taken := d.Wraps[0].Deployment; strings.HasPrefix(service, name) && strings.HasPrefix(taken, name) {
				t.Errorf("%s and %s have the project's name as it is", service, taken)
			}
			if text := p.chiron(p.on("ps", "--output", "json")...); !strings.Contains(text, name) {
				t.Errorf("chiron ps says nothing of %s: %s", name, text)
			}
			d.down()
		})
	}
}

// TestRender: what chiron render prints, kubectl applies as it is.
func TestRender(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 2)
	p.images("render")
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(p.chiron("render", p.dir, "--tag", "render", "--namespace", p.namespace)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.kubectl("apply", "--server-side", "-f", file)
	p.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=90s")
	d := &deployment{project: p, Name: "finra-5", URL: "http://finra-5." + p.namespace}
	d.answers()
	// It is a deployment as any other.
	d.down()
}

package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/plan"
)

// TestNoRoom: where the cluster has no room for a wrap, the message says which asked
// for what; what runs goes on, and nothing of the new plan stays.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	project := copyOf(t, "finra-5")
	place(t, project, 2)
	want := u.locally(project)
	d := u.deploy(project, "small")
	d.answers(want)
	before := u.left()

	large := place(t, project, 2)
	large.Wraps[1].CPUs = 64
	if err := plan.Write(filepath.Join(project, "plan.json"), large); err != nil {
		t.Fatal(err)
	}
	u.images(project, "large")
	s := u.try("chiron", u.deploying(project, "large", "--timeout", "15s")...)
	if s.code != 1 || !strings.Contains(s.errors, "wrap-2") || !strings.Contains(s.errors, "64 CPUs") || !strings.Contains(s.errors, "Insufficient cpu") {
		t.Errorf("exit code %d, and it does not say which wrap asked for what: %s", s.code, s.errors)
	}
	if after := u.left(); len(after) != len(before) {
		t.Errorf("there were %v, there are %v", before, after)
	}
	d.answers(want)
	d.down()
}

// TestNames: names that Kubernetes refuses are mapped to some that it takes, and
// shown.
func TestNames(t *testing.T) {
	for _, name := range []string{"007", strings.Repeat("long-", 10) + "end"} {
		t.Run(name[:3], func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			project := copyOf(t, "hello", "name: hello", `name: "`+name+`"`)
			place(t, project, 2)
			want := u.locally(project)
			d := u.deploy(project, "names")
			d.answers(want)
			// Without a name that had to be mapped, the test would be too kind.
			service, _, _ := strings.Cut(strings.TrimPrefix(d.URL, "http://"), ".")
			if taken := d.Wraps[0].Deployment; strings.HasPrefix(service, name) && strings.HasPrefix(taken, name) {
				t.Errorf("%s and %s have the project's name as it is", service, taken)
			}
			if text := u.chiron(u.on("ps", "--output", "json")...); !strings.Contains(text, name) {
				t.Errorf("chiron ps says nothing of %s: %s", name, text)
			}
			d.down()
		})
	}
}

// TestRender: what chiron render prints, kubectl applies as it is.
func TestRender(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	project := copyOf(t, "finra-5")
	place(t, project, 2)
	want := u.locally(project)
	u.images(project, "render")
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(u.chiron("render", project, "--tag", "render", "--namespace", u.namespace)), 0o600); err != nil {
		t.Fatal(err)
	}
	u.kubectl("apply", "--server-side", "-f", file)
	u.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=90s")
	d := &deployment{user: u, project: project, Name: "finra-5", URL: "http://finra-5." + u.namespace}
	d.answers(want)
	// It is a deployment as any other.
	d.down()
}

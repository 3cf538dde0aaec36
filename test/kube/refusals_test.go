package kube

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/chiron-faas/chiron/test/kube/cluster"
)

// logged is a line as client-go logs it.
var logged = regexp.MustCompile(`(?m)^[EWIF]\d{4} `)

// refused runs a verb that fails, and looks for what is said: on which cluster, in one
// line, without the token.
func (u *user) refused(args []string, want ...string) {
	u.t.Helper()
	s := u.try("chiron", args...)
	u.t.Log(s.errors)
	if s.code != 1 {
		u.t.Errorf("chiron %s: exit code %d\n%s", args[0], s.code, s.out)
	}
	for _, w := range append(want, "https://") {
		if !strings.Contains(s.errors, w) {
			u.t.Errorf("chiron %s: it says nothing of %q: %s", args[0], w, s.errors)
		}
	}
	if strings.Count(s.errors, "chiron:") != 1 || logged.MatchString(s.errors) || strings.Contains(s.errors, "eyJ") || strings.Contains(s.errors, wrongToken) {
		u.t.Errorf("chiron %s: more than one line, or a secret: %s", args[0], s.errors)
	}
}

const wrongToken = "not-a-token-of-anybody"

// TestRefusals: what each verb says to who may not do it. One deployment serves all.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const name = "refusals"
	// Not by its own name: a kubelet that has pulled the same image from a registry
	// (TestRegistry) pulls it again for who calls it otherwise.
	p := newProject(t, "hello", 2, "name: hello", "name: "+name)
	p.images(name)
	verbs := map[string][]string{
		"ps": p.on("ps"), "ps of one": p.on("ps", name), "logs": p.on("logs", name), "invoke": p.on("invoke", name), "down": p.on("down", name),
		"deploy": p.deploying(name, "--timeout", "60s"),
	}
	may := p.account("may", rights())
	limited := map[*user]struct {
		verb, want string
	}{
		p.account("no-log", without("get", "pods/log")):                {"logs", `cannot get resource "pods/log"`},
		p.account("no-forward", without("create", "pods/portforward")): {"invoke", `cannot create resource "pods/portforward"`},
		p.account("no-patch", without("patch", "deployments")):         {"deploy", `cannot patch resource "deployments"`},
		p.account("no-delete", without("delete", "services")):          {"down", `cannot delete resource "services"`},
	}
	before := p.left()

	for who, want := range map[*user][]string{
		p.login("wrong", api.AuthInfo{Token: wrongToken}): {"refuses the credentials", "(context wrong)", "look at the token"},
		p.account("nobody", nil):                          {"a right is missing", "(context nobody)", `:nobody" cannot list resource "services"`, p.namespace},
	} {
		for _, args := range verbs {
			who.refused(args, want...)
		}
	}
	for _, args := range verbs {
		p.refused(append(slices.Clone(args), "--namespace", "nowhere"), `there is no namespace "nowhere" on https://`, "kubectl create namespace nowhere")
	}

	// Who has the rights that are documented can do all of it; that there is nothing yet
	// is no error for who may not read namespaces.
	all := *p
	all.user = may
	may.chiron(verbs["ps"]...)
	d := all.apply(name)
	for who, is := range limited {
		who.refused(verbs[is.verb], "a right is missing", is.want, p.namespace)
	}
	d.answers()
	for _, verb := range []string{"ps of one", "logs"} {
		may.chiron(verbs[verb]...)
	}
	may.chiron(may.on("invoke", d.Name, "-d", "@"+p.dir+"/sample.json")...)
	may.chiron(verbs["down"]...)
	gone := func(what string) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			for _, o := range p.left() {
				if strings.Contains(o, "/"+name) {
					return &leftError{what, o}
				}
			}
			return nil
		})
	}
	gone("down")
	if now := p.left(); len(now) < len(before) {
		t.Errorf("there were %v, there are %v", before, now)
	}

	p.kubectl("create", "quota", "small", "--hard=requests.cpu=1")
	p.refusedPlainly(verbs["deploy"], "wrap-", "makes no pod", "exceeded quota: small", "requests.cpu=1", "ask for a larger quota")
	gone("a deployment that failed")

	// The namespace asks of pods what it does of ours (newUser).
	if s := p.try("kubectl", "run", "lax", "--image=lax", "--dry-run=server"); s.code == 0 || !strings.Contains(s.errors, "violates PodSecurity") {
		t.Errorf("a pod that restricts nothing is taken: %s%s", s.out, s.errors)
	}
}

type leftError struct{ by, object string }

func (e *leftError) Error() string { return e.object + " is left by " + e.by }

// refusedPlainly is refused, where what refuses is within the cluster, and so which it is
// is known.
func (u *user) refusedPlainly(args []string, want ...string) {
	u.t.Helper()
	s := u.try("chiron", args...)
	u.t.Log(s.errors)
	for _, w := range want {
		if s.code != 1 || !strings.Contains(s.errors, w) {
			u.t.Errorf("chiron %s: exit code %d, and nothing of %q: %s", args[0], s.code, w, s.errors)
		}
	}
}

// TestLoginProgram: credentials come from a program, as clouds have one.
func TestLoginProgram(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.account("may", rights())
	program := func(name, script string) *user {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
		return u.login(name, api.AuthInfo{Exec: &api.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: file, InteractiveMode: api.NeverExecInteractiveMode,
		}})
	}
	gives := func(token string) string {
		return `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"` + token + `"}}'`
	}
	program("gives", gives(strings.TrimSpace(u.kubectl("create", "token", "may")))).chiron(u.on("ps")...)
	program("fails", "echo 'log in first' >&2\nexit 4").refused(u.on("ps"), "log in first\n", "/fails\"", "(context fails)", "exit code 4")
	program("stale", gives(wrongToken)).refused(u.on("ps"), "refuses the credentials", "/stale\" gave them")
}

// TestUnpulled: images that the node cannot have.
func TestUnpulled(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	at := serveRegistry(t)
	for name, password := range map[string]string{"right": closedPassword, "wrong": "no-" + closedPassword} {
		u.kubectl("create", "secret", "docker-registry", name, "--docker-server="+at, "--docker-username="+closedUser, "--docker-password="+password)
	}
	before := u.left()
	// All at once: they wait for the kubelet.
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		flags []string
		want  []string
	}{
		"lost":     {[]string{"--registry", at + "/open"}, []string{"not found", "push it there"}},
		"asked":    {[]string{"--registry", at + "/" + closed}, []string{"the registry asks for a password", "--pull-secret"}},
		"mistaken": {[]string{"--registry", at + "/" + closed, "--pull-secret", "wrong"}, []string{"refuses the password of the pull secret wrong"}},
		"let-in":   {[]string{"--registry", at + "/" + closed, "--pull-secret", "right"}, []string{"not found", "push it there"}},
		"missing":  {[]string{"--registry", at + "/" + closed, "--pull-secret", "gone"}, []string{"a pull secret is missing in namespace " + u.namespace, "(gone)"}},
	} {
		p := u.project("hello", 1, "name: hello", "name: "+name)
		all.Go(func() {
			p.refusedPlainly(p.deploying("lost", append(c.flags, "--push=false")...), append(c.want, "wrap-1", cluster.Registry+"/", "cannot be pulled")...)
		})
	}
	all.Wait()
	eventually(t, 30*time.Second, func() error {
		for _, o := range u.left() {
			if !slices.Contains(before, o) {
				return &leftError{"a deployment that failed", o}
			}
		}
		return nil
	})
}

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/test/kube/cluster"
)

// scratch holds what the tests share. Set by TestMain, and only read afterwards.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Short, since sockets lie below it.
	dir, err := os.MkdirTemp("", "kube")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch = dir
	return m.Run()
}

// clusterDir is the folder of the cluster that make kube-up brings up.
const clusterDir = "../../.cache/kube"

// required, in the environment, turns a missing cluster from a reason to skip into a
// failure: make test-kube sets it.
const required = "CHIRON_TEST_KUBE"

// running is the cluster that the tests use.
func running(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Attach(clusterDir)
	if errors.Is(err, cluster.ErrDown) && os.Getenv(required) == "" {
		t.Skip("no Kubernetes cluster runs here: make test-kube brings one up")
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// binary is the real program, with the agent of images beside it.
var binary = sync.OnceValues(func() (string, error) {
	err := programtest.Build(context.Background(), scratch, programtest.Options{}, programtest.Chiron, programtest.Agent)
	return filepath.Join(scratch, programtest.Chiron), err
})

// base is a file with an image of this machine's Python.
var base = sync.OnceValues(func() (string, error) {
	file := filepath.Join(scratch, "base.tar")
	img, err := ocitest.Python(context.Background(), scratch)
	if err != nil {
		return "", err
	}
	tag, err := name.NewTag("chiron.test/python:base")
	if err != nil {
		return "", err
	}
	return file, tarball.WriteToFile(file, tag, img)
})

// user runs the program and kubectl in a namespace of the cluster, which goes with
// the test.
type user struct {
	t          *testing.T
	cluster    *cluster.Cluster
	binary     string
	base       string
	dir        string // state folder
	namespace  string
	kubeconfig string
}

func newUser(t *testing.T) *user {
	t.Helper()
	u := &user{t: t, cluster: running(t)}
	u.kubeconfig = u.cluster.Kubeconfig()
	var err error
	if u.binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	if u.base, err = base(); err != nil {
		t.Fatal(err)
	}
	if u.dir, err = os.MkdirTemp(scratch, "u"); err != nil {
		t.Fatal(err)
	}
	u.namespace = strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	u.kubectl("create", "namespace", u.namespace)
	// Where pods have to be as strict as Kubernetes knows to ask for.
	u.kubectl("label", "namespace", u.namespace, "pod-security.kubernetes.io/enforce=restricted")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s\n%s", u.try("kubectl", "get", "pods,services,deployments", "-o", "wide").out,
				u.try("kubectl", "get", "events", "-o", "custom-columns=:.lastTimestamp,:.involvedObject.name,:.message").out, u.try("kubectl", "logs", "--all-containers", "--prefix", "--tail=20", "-l", "app.kubernetes.io/managed-by=chiron").out)
		}
		// At once: what drains is tested where it is asked for.
		u.try("kubectl", "delete", "pods", "--all", "--force", "--grace-period=0")
		u.kubectl("delete", "namespace", u.namespace, "--timeout=60s")
	})
	return u
}

// said is what a command left behind.
type said struct {
	code        int
	out, errors string
}

// try runs "chiron" or "kubectl" to its end.
func (u *user) try(program string, args ...string) said {
	u.t.Helper()
	return u.tryWith("", program, args...)
}

func (u *user) tryWith(stdin, program string, args ...string) said {
	u.t.Helper()
	// Not the test's own context: Cleanup runs commands when that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	path := u.binary
	if program == "kubectl" {
		path = filepath.Join(clusterDir, "bin", "kubectl")
		args = append([]string{"--namespace", u.namespace}, args...)
	}
	c := exec.CommandContext(ctx, path, args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+u.kubeconfig, "XDG_RUNTIME_DIR="+u.dir, "XDG_CACHE_HOME="+filepath.Join(scratch, "cache"))
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr, c.Stdin = &out, &errs, strings.NewReader(stdin)
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return said{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// good is what a command that must succeed says.
func (u *user) good(program string, args ...string) string {
	u.t.Helper()
	s := u.try(program, args...)
	if s.code != 0 {
		u.t.Fatalf("%s %s: exit code %d\n%s%s", program, strings.Join(args, " "), s.code, s.out, s.errors)
	}
	return s.out
}

func (u *user) kubectl(args ...string) string { u.t.Helper(); return u.good("kubectl", args...) }

func (u *user) chiron(args ...string) string { u.t.Helper(); return u.good("chiron", args...) }

// read is an object of the cluster, or a list of them, as kubectl prints it.
func (u *user) read(into any, args ...string) {
	u.t.Helper()
	text := u.kubectl(append([]string{"get", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		u.t.Fatalf("kubectl get %v: %v\n%s", args, err, text)
	}
}

// invoke posts an input and returns the answer, decoded.
func invoke(ctx context.Context, client *http.Client, url string, input []byte) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(input))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, data)
	}
	var answer any
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, data)
	}
	return answer, nil
}

// service is the URL of a Service of the namespace, which the machine reaches.
func (u *user) service(name string) string {
	u.t.Helper()
	var s struct {
		Spec struct {
			ClusterIP string `json:"clusterIP"`
			Ports     []struct {
				Port int `json:"port"`
			} `json:"ports"`
		} `json:"spec"`
	}
	u.read(&s, "service", name)
	return "http://" + net.JoinHostPort(s.Spec.ClusterIP, fmt.Sprint(s.Spec.Ports[0].Port)) + "/"
}

// eventually waits for what takes a moment.
func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	begun := time.Now()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Since(begun) > patience {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/internal/wheeltest"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// machineBase is an image of this machine's Python.
var machineBase = sync.OnceValues(func() (v1.Image, error) { return ocitest.Python(context.Background(), scratch) })

// unpack writes an image's files to a folder, as their owners.
func unpack(t *testing.T, img v1.Image, dir string) {
	t.Helper()
	each(t, img, func(h *tar.Header, r io.Reader) {
		target := filepath.Join(dir, filepath.FromSlash(h.Name))
		err := os.MkdirAll(filepath.Dir(target), 0o755)
		switch h.Typeflag {
		case tar.TypeDir:
			err = errors.Join(err, os.MkdirAll(target, 0o755), os.Chmod(target, fs.FileMode(h.Mode).Perm()))
		case tar.TypeSymlink:
			err = errors.Join(err, os.Symlink(h.Linkname, target))
		case tar.TypeReg:
			var out *os.File
			if out, err = os.Create(target); err == nil {
				_, err = io.Copy(out, r)
				err = errors.Join(err, out.Chmod(fs.FileMode(h.Mode).Perm()), out.Close(), os.Chown(target, h.Uid, h.Gid))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// container is an image that runs in runc.
type container struct {
	t    *testing.T
	id   string
	pid  int
	log  *printed
	done chan error
}

// printed is what a container has printed so far.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// start runs an image as its configuration says: its command with more arguments,
// its user, its environment, on a read-only root file system without any folder
// to write to but /dev/shm, in namespaces of its own, or in another's network.
func start(t *testing.T, img v1.Image, network string, args ...string) *container {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, img, filepath.Join(dir, "rootfs"))
	if out, err := command("spec", "--bundle", dir).CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v: %s", err, out)
	}
	var spec map[string]any
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = append(slices.Concat(config.Config.Entrypoint, config.Config.Cmd), args...)
	process["env"] = config.Config.Env
	process["cwd"] = config.Config.WorkingDir
	var uid, gid int
	if _, err := fmt.Sscanf(config.Config.User, "%d:%d", &uid, &gid); err != nil {
		t.Fatal(err)
	}
	process["user"] = map[string]any{"uid": uid, "gid": gid}
	delete(process, "capabilities")
	delete(process, "rlimits")
	spec["root"] = map[string]any{"path": "rootfs", "readonly": true}
	if network != "" {
		namespaces := spec["linux"].(map[string]any)["namespaces"].([]any)
		for _, n := range namespaces {
			if n := n.(map[string]any); n["type"] == "network" {
				n["path"] = network
			}
		}
	}
	if data, err = json.Marshal(spec); err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, id: fmt.Sprintf("chiron-test-%d-%d", os.Getpid(), time.Now().UnixNano()), log: &printed{}, done: make(chan error, 1)}
	pidFile := filepath.Join(dir, "pid")
	run := command("run", "--bundle", dir, "--pid-file", pidFile, c.id)
	run.Stdout, run.Stderr = c.log, c.log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.done <- run.Wait()
	}()
	t.Cleanup(func() {
		_ = command("delete", "--force", c.id).Run() // gone already where it ended by itself
		_ = run.Process.Kill()                       // the same
		<-ended
	})
	for end := time.Now().Add(30 * time.Second); c.pid == 0; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-c.done:
			t.Skipf("runc runs no containers here: %v: %s", err, c.log)
		default:
		}
		if data, err := os.ReadFile(pidFile); err == nil {
			_, _ = fmt.Sscan(string(data), &c.pid)
		}
		if time.Now().After(end) {
			t.Fatal("runc has started no container within 30 s")
		}
	}
	return c
}

// command is one of runc's, with its state apart from other users'.
func command(args ...string) *exec.Cmd {
	return exec.Command("runc", append([]string{"--root", filepath.Join(scratch, "runc")}, args...)...)
}

func (c *container) network() string { return fmt.Sprintf("/proc/%d/ns/net", c.pid) }

// client calls into the container's network: a socket stays in the network that it
// was made in, so one thread goes there to dial, and ends.
func (c *container) client() *http.Client {
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			var ns *os.File
			if ns, err = os.Open(c.network()); err != nil {
				return
			}
			if err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close()); err == nil {
				// An address without a name is dialled on this very goroutine.
				conn, err = net.Dial(network, address)
			}
		}()
		<-done
		return conn, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: time.Minute}
}

// post calls the container and returns the answer's text.
func (c *container) post(address, body string) (string, error) {
	answer, err := c.client().Post("http://"+address+"/", "text/plain", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(answer.Body)
	err = errors.Join(err, answer.Body.Close())
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, data)
	}
	return string(data), err
}

// ready waits until the container says that it serves.
func (c *container) ready(address string) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		answer, err := c.client().Get("http://" + address + "/_/ready")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-c.done:
			c.t.Fatalf("the container ended: %v: %s", err, c.log)
		default:
		}
		if time.Now().After(end) {
			c.t.Fatalf("not ready within a minute: %v: %s", err, c.log)
		}
	}
}

// realImages builds a project's images on this machine's Python with the real agent.
func realImages(t *testing.T, files map[string]string, planned func(*workflow.Project) *plan.Plan) []Image {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers are run by root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		t.Skip("runc is not installed (apt-get install runc)")
	}
	img, err := machineBase()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := realAgent()
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base")
	writeBaseLayout(t, base, img)
	p := project(t, twoTasks, files)
	return build(t, Options{Project: p, Plan: planned(p), Base: base, Agents: []string{agent}})
}

// TestContainer runs an image and asks it what it sees.
func TestContainer(t *testing.T) {
	dir := wheels(t)
	wheeltest.Wheel{Name: "apple", Version: "1.0"}.Write(t, dir)
	images := realImages(t, map[string]string{
		"chiron.yaml":            strings.ReplaceAll(twoTasks["chiron.yaml"], "handler: greet}", "handler: greet, requirements: greet/requirements.txt, env: {MOOD: calm}}"),
		"greet/requirements.txt": "apple==1.0\n",
		"greet/handler.py": `import apple, json, os, sys, tempfile, time

def writes(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False

def handle(req):
    if req == "slow":
        open("begun", "w").close()
        time.sleep(1.5)
        return "done"
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    return json.dumps([os.getuid(), os.getgid(), sys.executable, "%d.%d.%d" % sys.version_info[:3], apple.VERSION,
                       os.environ.get("MOOD"), writes("/here"), writes("/opt/chiron/bundle/functions/greet/handler.py"), writes("here")])
`,
	}, together)
	c := start(t, images[0].manifests[0], "")
	c.ready("127.0.0.1:8080")
	got, err := c.post("127.0.0.1:8080", "look")
	if err != nil {
		t.Fatalf("%v: %s", err, c.log)
	}
	python, err := machinePython()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ToUpper(fmt.Sprintf(`[65532, 65532, "/usr/local/bin/python3", %q, "1.0", "calm", false, false, true]`, python.Version))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if images[0].Python != python.Version {
		t.Errorf("found Python %s in the base, which is %s", images[0].Python, python.Version)
	}
	// SIGTERM lets the request inside end.
	answer := make(chan error, 1)
	go func() {
		text, err := c.post("127.0.0.1:8080", "slow")
		if err == nil && text != "DONE" {
			err = fmt.Errorf("got %q", text)
		}
		answer <- err
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		found, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/dev/shm/chiron-host-*/begun", c.pid))
		if err == nil && len(found) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the request has not begun: %s", c.log)
		}
	}
	if out, err := command("kill", c.id, "TERM").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := <-answer; err != nil {
		t.Errorf("the request inside: %v: %s", err, c.log)
	}
	select {
	case err := <-c.done:
		if err != nil {
			t.Errorf("the container ended with %v: %s", err, c.log)
		}
	case <-time.After(time.Minute):
		t.Errorf("the container goes on after SIGTERM: %s", c.log)
	}
}

// TestContainersTogether runs a plan's two images; the first calls the second.
func TestContainersTogether(t *testing.T) {
	images := realImages(t, nil, apart)
	second := start(t, images[1].manifests[0], "")
	second.ready("127.0.0.1:8080")
	first := start(t, images[0].manifests[0], second.network(), "--listen", "127.0.0.1:8081", "--peer", "wrap-2=127.0.0.1:8080")
	first.ready("127.0.0.1:8081")
	if got, err := first.post("127.0.0.1:8081", "you"); err != nil || got != "HELLO YOU" {
		t.Errorf("got %q, %v: %s%s", got, err, first.log, second.log)
	}
}

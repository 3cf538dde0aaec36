package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
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
	"github.com/chiron-faas/chiron/deploy"
)

// scratch has what all tests of the package build once.
var scratch string

func TestMain(m *testing.M) {
	if dir := os.Getenv("CHIRON_TEST_ENGINE"); dir != "" {
		runUntilKilled(dir)
	}
	dir, err := os.MkdirTemp("", "chc")
	if err != nil {
		log.Fatal(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var watchdogText = sync.OnceValues(func() (string, error) {
	file := filepath.Join(scratch, "watchdog")
	if err := ocitest.Build(file, "./testdata/watchdog"); err != nil {
		return "", err
	}
	data, err := os.ReadFile(file)
	return string(data), err
})

// watchdog is an image of a static server and nothing else.
func watchdog(t *testing.T, config v1.Config) v1.Image {
	t.Helper()
	text, err := watchdogText()
	if err != nil {
		t.Fatal(err)
	}
	if config.Entrypoint == nil {
		config.Entrypoint = []string{"/usr/bin/watchdog"}
	}
	return ocitest.Image(t, "", config,
		ocitest.Layer(t, ocitest.Entry{Name: "etc/passwd", Text: "app:x:100:101::/home/app:/bin/sh\n", Mode: 0o644}),
		ocitest.Layer(t, ocitest.Entry{Name: "usr/bin/watchdog", Text: text, Mode: 0o755}))
}

func stateDir(t *testing.T) string {
	t.Helper()
	ocitest.Runc(t)
	dir, err := os.MkdirTemp("", "chc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newEngine(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.Dir == "" {
		o.Dir = stateDir(t)
	}
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	e, err := New(t.Context(), o)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		e.nothingLeft(t)
	})
	return e
}

// nothingLeft: no container, mount, control group or folder.
func (e *Engine) nothingLeft(t *testing.T) {
	t.Helper()
	for _, dir := range []string{e.runDir(), e.runcDir()} {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			t.Errorf("left in %s: %v", dir, entries)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), e.options.Dir) {
		t.Errorf("mounts are left, or %v", err)
	}
	for _, m := range e.groups {
		if left, _ := filepath.Glob(filepath.Join(m.Own, e.idOf("*"))); len(left) > 0 {
			t.Errorf("control groups are left: %v", left)
		}
	}
}

func (e *Engine) image(t *testing.T, img v1.Image) *Image {
	t.Helper()
	i, err := e.Pull(t.Context(), ocitest.Put(t, ocitest.Registry(t, nil), "team/f:1", img))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Release)
	return i
}

func (e *Engine) up(t *testing.T, f Function) *Deployed {
	t.Helper()
	d, err := e.tryUp(t, f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (e *Engine) tryUp(t *testing.T, f Function) (*Deployed, error) {
	t.Helper()
	f.Name = "f"
	f.Logs = filepath.Join(e.options.Dir, "logs-f")
	d, err := e.Up(t.Context(), f)
	if err == nil {
		t.Cleanup(func() {
			if err := d.Down(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return d, err
}

// get asks an instance.
func get(t *testing.T, i deploy.Instance, path string) (string, error) {
	t.Helper()
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return i.(deploy.Dialer).Dial(ctx, WrapName) },
	}}
	resp, err := c.Get("http://f" + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

func must(t *testing.T, i deploy.Instance, path, part string) string {
	t.Helper()
	text, err := get(t, i, path)
	if err != nil || !strings.Contains(text, part) {
		t.Errorf("%s: %q, %v, want %q", path, text, err, part)
	}
	return text
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

// TestWhatItSees asks a function what it may.
func TestWhatItSees(t *testing.T) {
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "gateway ", r.URL.Path) })
	e := newEngine(t, Options{Gateway: gateway})
	secrets := filepath.Join(e.options.Dir, "secrets")
	if err := os.Mkdir(secrets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "api-key"), []byte("k"), 0o444); err != nil {
		t.Fatal(err)
	}
	d := e.up(t, Function{
		Image: e.image(t, watchdog(t, v1.Config{User: "app", Env: []string{"FROM=image", "WORD=image"}, WorkingDir: "/home/app"})),
		Env:   []string{"WORD=given"}, Secrets: secrets, ReadOnly: true, Memory: 256 << 20, CPUs: 0.5,
	})
	i := d.First()
	var seen struct {
		UID, GID, PID, Processes                int
		CapEff, CapBnd, NoNewPrivs, Seccomp     string
		Secret, SecretError, Host, Unshare, Cwd string
		Interfaces, Env                         []string
	}
	if err := json.Unmarshal([]byte(must(t, i, "/see", "")), &seen); err != nil {
		t.Fatal(err)
	}
	const none = "0000000000000000"
	if seen.UID != 100 || seen.GID != 101 || seen.PID != 1 || seen.Processes != 1 || seen.CapEff != none || seen.CapBnd != none ||
		seen.NoNewPrivs != "1" || seen.Secret != "k" || seen.Host != "f" || seen.Cwd != "/home/app" || !slices.Equal(seen.Interfaces, []string{"lo"}) {
		t.Errorf("%+v", seen)
	}
	if e.seccomp && (seen.Seccomp != "2" || !strings.Contains(seen.Unshare, "not permitted")) {
		t.Errorf("it may do any system call: %+v", seen)
	}
	for _, v := range []string{"FROM=image", "WORD=given", "HOME=/home/app"} {
		if !slices.Contains(seen.Env, v) {
			t.Errorf("%s is not in its environment: %v", v, seen.Env)
		}
	}
	must(t, i, "/write?path=/here", "read-only")
	must(t, i, "/write?path=/var/openfaas/secrets/api-key", "read-only")
	must(t, i, "/write?path=/proc/sys/kernel/hostname", "read-only")
	must(t, i, "/write?path=/tmp/here", "<nil>")
	must(t, i, "/get?url=http://gateway:31112/function/other/x", "200 gateway /function/other/x")
	must(t, i, "/get?url=http://gateway.openfaas:31112/system/functions", "403")
	must(t, i, "/get?url=http://gateway:31112/function/../system/functions", "403")
	// What this machine serves on its loopback is not the container's.
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	must(t, i, "/get?url=http://"+l.Addr().String()+"/", "refused")
	s, err := d.Status(t.Context())
	if err != nil || s.State != deploy.Up || len(s.Wraps) != 1 || s.Wraps[0].State != deploy.WrapReady || s.Wraps[0].PID == 0 || s.Wraps[0].StartMS == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	e.limits(t, map[string]string{"pids.max": fmt.Sprint(DefaultProcesses), "memory.limit_in_bytes": fmt.Sprint(256 << 20), "cpu.cfs_quota_us": "50000"},
		map[string]string{"pids.max": fmt.Sprint(DefaultProcesses), "memory.max": fmt.Sprint(256 << 20), "cpu.max": "50000 100000"})
	if slices.Contains(e.controllers, "memory") && s.Wraps[0].Memory == 0 {
		t.Error("its memory is not known")
	}
}

// limits looks for a container's limits in its control groups, of either version.
func (e *Engine) limits(t *testing.T, v1, v2 map[string]string) {
	t.Helper()
	for _, m := range e.groups {
		own, want := m.Own, v1
		if m.V2 {
			want = v2
			if !m.Root() {
				own = filepath.Dir(own)
			}
		}
		for file, value := range want {
			data, err := os.ReadFile(filepath.Join(own, e.idOf("f-0-1"), file))
			if err == nil && strings.TrimSpace(string(data)) != value {
				t.Errorf("%s is %s, want %s", file, data, value)
			}
			if err == nil {
				delete(want, file)
			}
		}
		controllers, _ := m.Permitted()
		for file := range want {
			if controller, _, _ := strings.Cut(file, "."); slices.Contains(controllers, controller) {
				t.Errorf("no %s in %s", file, own)
			}
		}
	}
}

// TestWrites: without a read-only root it may write where its user may, in memory,
// and root's image is nobody's.
func TestWrites(t *testing.T) {
	e := newEngine(t, Options{})
	d := e.up(t, Function{Image: e.image(t, watchdog(t, v1.Config{User: "root"}))})
	var seen struct{ UID, GID int }
	if err := json.Unmarshal([]byte(must(t, d.First(), "/see", "")), &seen); err != nil || seen.UID != nobody || seen.GID != nobody {
		t.Errorf("%+v, %v", seen, err)
	}
	must(t, d.First(), "/write?path=/etc/here", "permission denied")
	must(t, d.First(), "/write?path=/dev/shm/here", "<nil>")
}

// TestHostNetwork: a function that is given the machine's network serves on the port
// that it is told.
func TestHostNetwork(t *testing.T) {
	e := newEngine(t, Options{})
	d := e.up(t, Function{Image: e.image(t, watchdog(t, v1.Config{})), HostNetwork: true})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the machine's") }))
	}()
	must(t, d.First(), "/get?url=http://"+l.Addr().String()+"/", "200 the machine's")
}

// TestReplicas: as many as are asked for, each with files of its own; their log is
// one; SIGTERM has them finish.
func TestReplicas(t *testing.T) {
	e := newEngine(t, Options{})
	d := e.up(t, Function{Image: e.image(t, watchdog(t, v1.Config{})), Env: []string{"WORD=hello"}})
	second, err := d.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	must(t, d.First(), "/a", "hello /a")
	must(t, second, "/b", "hello /b")
	if second.Number() != 2 {
		t.Errorf("number %d", second.Number())
	}
	lines := make(map[string]int)
	logged := func() map[string]int {
		clear(lines)
		err := d.Logs(t.Context(), deploy.LogOptions{}, func(l deploy.LogLine) error {
			lines[l.Wrap+" "+l.Stream+" "+strings.TrimSpace(l.Text)]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	eventually(t, "a line of each", func() bool {
		l := logged()
		return l["container stdout seen"] == 1 && l["container.2 stdout seen"] == 1
	})
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := logged(); got["container.2 stdout finishing"] != 1 || got["container stdout finishing"] != 0 {
		t.Errorf("SIGTERM was not heard: %v", got)
	}
	if err := d.First().Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err := d.Status(t.Context()); err != nil || s.State != deploy.Idle || len(s.Wraps) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	again, err := d.Start(t.Context())
	if err != nil || again.Number() != 1 {
		t.Fatalf("%v, %v", again, err)
	}
	must(t, again, "/c", "hello /c")
}

// TestRestarts: a container that ends is started again, and says why.
func TestRestarts(t *testing.T) {
	e := newEngine(t, Options{})
	d := e.up(t, Function{Image: e.image(t, watchdog(t, v1.Config{})), Memory: 128 << 20})
	i := d.First()
	again := func(path, word string) {
		t.Helper()
		s, err := d.Status(t.Context())
		if err != nil || len(s.Wraps) != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		before := s.Wraps[0].Restarts
		if text, err := get(t, i, path); err == nil {
			t.Errorf("it answered before it ended: %q", text)
		}
		eventually(t, "a restart", func() bool {
			s, err = d.Status(t.Context())
			return err == nil && len(s.Wraps) == 1 && s.Wraps[0].Restarts == before+1 && s.Wraps[0].State == deploy.WrapReady
		})
		if !strings.Contains(s.Wraps[0].LastError, word) {
			t.Errorf("last error %q, want %q", s.Wraps[0].LastError, word)
		}
		must(t, i, "/x", "/x")
	}
	again("/exit", "exit status 7")
	if e.keeps("memory") {
		again("/eat", "killed")
	}
}

// TestDoesNotStart: what an image lacks is told in a line, and leaves nothing.
func TestDoesNotStart(t *testing.T) {
	e := newEngine(t, Options{StartTimeout: 3 * time.Second, Grace: time.Second})
	for name, c := range map[string]struct {
		image v1.Image
		env   []string
		part  string
	}{
		"no command":      {ocitest.Image(t, "", v1.Config{}, ocitest.Layer(t, ocitest.Entry{Name: "a", Text: "x"})), nil, "neither an entrypoint nor a command"},
		"missing program": {watchdog(t, v1.Config{Entrypoint: []string{"/usr/bin/none"}}), nil, "/usr/bin/none"},
		"not executable":  {watchdog(t, v1.Config{Entrypoint: []string{"/etc/passwd"}}), nil, "permission denied"},
		"unknown user":    {watchdog(t, v1.Config{User: "ghost"}), nil, `"ghost"`},
		"crash":           {watchdog(t, v1.Config{}), []string{"MODE=crash"}, "exit status 3: no such database"},
		"does not serve":  {watchdog(t, v1.Config{}), []string{"MODE=silent"}, "port 8080"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.tryUp(t, Function{Image: e.image(t, c.image), Env: c.env})
			var start *deploy.StartError
			if !errors.As(err, &start) || !strings.Contains(err.Error(), c.part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want a StartError with %q", err, c.part)
			}
			e.nothingLeft(t)
		})
	}
}

// TestPullRefuses: what a registry does not have, or not for us.
func TestPullRefuses(t *testing.T) {
	e := newEngine(t, Options{})
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	host := ocitest.Registry(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/secret/") {
			w.WriteHeader(http.StatusForbidden)
			return false
		}
		return true
	})
	file := ocitest.Layer(t, ocitest.Entry{Name: "a", Text: "x"})
	wrong := ocitest.Put(t, host, "arch:1", ocitest.Image(t, other, v1.Config{Cmd: []string{"/a"}}, file))
	evil := ocitest.Put(t, host, "evil:1", ocitest.Image(t, "", v1.Config{Cmd: []string{"/a"}}, ocitest.Layer(t, ocitest.Entry{Name: "../../x", Text: "x"})))
	for reference, part := range map[string]string{
		wrong:              "only for linux/" + other,
		evil:               `".."`,
		host + "/none:1":   "404",
		host + "/secret/f": "403",
		"NOT A NAME":       "no image's name",
		"127.0.0.1:1/f:1":  "cannot be reached",
	} {
		if i, err := e.Pull(t.Context(), reference); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, %v, want %q", reference, i, err, part)
		}
	}
	e.Sweep()
	if got := e.images.counts(t); got != "0 images, 0 layers" {
		t.Errorf("left: %s", got)
	}
}

// runUntilKilled is a process that has a container up, for TestKilled.
func runUntilKilled(dir string) {
	e, err := New(context.Background(), Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	i := e.Held(os.Getenv("CHIRON_TEST_IMAGE"))
	d, err := e.Up(context.Background(), Function{Name: "f", Image: i, Logs: filepath.Join(dir, "logs-f")})
	if err != nil {
		log.Fatal(err)
	}
	s, err := d.Status(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Wraps[0].PID)
	select {}
}

// TestKilled: containers end with the process that keeps them, however that ends,
// and the next one clears what is left.
func TestKilled(t *testing.T) {
	e := newEngine(t, Options{})
	i := e.image(t, watchdog(t, v1.Config{}))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CHIRON_TEST_ENGINE="+e.options.Dir, "CHIRON_TEST_IMAGE="+i.Digest)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	_, err = fmt.Fscan(out, &pid)
	alive := err == nil && unix.Kill(pid, 0) == nil
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if !alive {
		t.Fatalf("no container came up: pid %d, %v", pid, err)
	}
	eventually(t, "the container's end", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
	next, err := New(t.Context(), Options{Dir: e.options.Dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	_ = os.RemoveAll(filepath.Join(e.options.Dir, "logs-f"))
	next.nothingLeft(t)
}

// TestLogin pulls from a registry that asks for a password, which docker login has
// kept.
func TestLogin(t *testing.T) {
	e := newEngine(t, Options{})
	host := ocitest.Registry(t, func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "reader" && password == "s3cret" {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return false
	})
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	if _, err := e.Pull(t.Context(), host+"/f:1"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a login: %v", err)
	}
	config := `{"auths":{"` + host + `":{"username":"reader","password":"s3cret"}}}`
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	img := ocitest.Image(t, "", v1.Config{Cmd: []string{"/a"}}, ocitest.Layer(t, ocitest.Entry{Name: "a", Text: "x"}))
	i, err := e.Pull(t.Context(), ocitest.Put(t, host, "f:1", img, ocitest.Login("reader", "s3cret")))
	if err != nil {
		t.Fatal(err)
	}
	i.Release()
}

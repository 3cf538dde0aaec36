// Package e2e starts the real binary with real interpreters and treats it as its
// users, and their mistakes, do.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/profile"
)

// binary is the chiron that all tests run; scratch holds what they share. Set by
// TestMain, and only read afterwards.
var binary, scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Short, since sockets lie below it.
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch, binary = dir, filepath.Join(dir, programtest.Chiron)
	// The agent lies beside it, where it looks for it.
	if err := programtest.Build(context.Background(), dir, programtest.Options{Race: raceEnabled}, programtest.Chiron, programtest.Agent); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	constants, err := writeConstants()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if now, err := os.ReadFile(calibration()); err != nil || !bytes.Equal(now, constants) {
		fmt.Fprintf(os.Stderr, "%s is not what it was (%v): a test has calibrated, which takes ten seconds\n", calibration(), err)
		return 1
	}
	return code
}

// writeConstants says that this machine was measured, so that no test waits for
// that; the constants are of no machine.
func writeConstants() ([]byte, error) {
	python, err := host.FindInterpreter(context.Background(), "python", "")
	if err != nil {
		return nil, err
	}
	machine, err := json.Marshal(profile.ThisMachine())
	if err != nil {
		return nil, err
	}
	text := fmt.Appendf(nil, `{"apiVersion":"chiron/v1","created":"2026-01-01T00:00:00Z","machine":%s,"version":%q,"constants":{"request_ms":0.3,"dispatch_ms":0.1,"thread_start_ms":0.1,"startup_ms":4,"block_ms":3,"exit_ms":0.3,"ipc_ms":0.1,"rpc_ms":0.2,"inv_ms":0.3,"switch_interval_ms":5},"spread":[0.9,1,1.1]}`, machine, python.Version)
	return text, os.WriteFile(calibration(), text, 0o600)
}

func calibration() string { return filepath.Join(scratch, "calibration.json") }

// user is one user of the program, with a state folder of their own.
type user struct {
	t   *testing.T
	dir string   // state folder
	env []string // of their own, besides what a command gets
}

func newUser(t *testing.T) *user {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "u")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, dir: dir}
	t.Cleanup(func() {
		if left := u.processes(); len(left) > 0 {
			t.Errorf("left running: %v", left)
			for pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return u
}

func (u *user) command(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env = slices.Concat(os.Environ(), []string{"XDG_RUNTIME_DIR=" + u.dir, "XDG_CACHE_HOME=" + filepath.Join(scratch, "cache")}, u.env)
	return c
}

// said is what a command left behind.
type said struct {
	code        int
	out, errors string
}

// chiron runs a command to its end.
func (u *user) chiron(args ...string) said {
	u.t.Helper()
	return u.chironIn("", args...)
}

func (u *user) chironIn(stdin string, args ...string) said {
	u.t.Helper()
	c := u.command(args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr, c.Stdin = &out, &errs, strings.NewReader(stdin)
	kill := time.AfterFunc(3*time.Minute, func() { _ = c.Process.Signal(syscall.SIGQUIT) })
	defer kill.Stop()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return said{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// good is chiron that must succeed.
func (u *user) good(args ...string) string {
	u.t.Helper()
	s := u.chiron(args...)
	if s.code != 0 {
		u.t.Fatalf("chiron %s: exit code %d\n%s%s", strings.Join(args, " "), s.code, s.out, s.errors)
	}
	return s.out
}

// served is a "chiron up".
type served struct {
	command *exec.Cmd
	url     string
	errors  *bytes.Buffer
	ended   chan struct{}
}

// up serves a project until the test ends.
func (u *user) up(dir string, flags ...string) *served {
	u.t.Helper()
	s := &served{errors: &bytes.Buffer{}, ended: make(chan struct{})}
	s.command = u.command(append([]string{"up", dir, "--listen", "127.0.0.1:0", "--output", "json"}, flags...)...)
	s.command.Stderr = s.errors
	out, err := s.command.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		u.t.Fatal(err)
	}
	var report struct {
		URL string `json:"url"`
	}
	patience := time.AfterFunc(2*time.Minute, func() { _ = s.command.Process.Kill() })
	defer patience.Stop()
	if err := json.NewDecoder(out).Decode(&report); err != nil {
		_ = s.command.Wait() // it failed: errors says why
		u.t.Fatalf("chiron up: %v\n%s", err, s.errors)
	}
	s.url = report.URL
	go func() {
		_ = s.command.Wait() // the tests look at what it left
		close(s.ended)
	}()
	u.t.Cleanup(func() {
		_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-s.ended:
		case <-time.After(30 * time.Second):
			u.t.Error("chiron up does not end")
			_ = s.command.Process.Kill()
			<-s.ended
		}
	})
	return s
}

// processes are those that belong to this user's deployments: their command, or
// their folder, or their environment is of the user's state folder.
func (u *user) processes() map[int]string {
	found := make(map[int]string)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		u.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		command, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // empty: a zombie, or gone
		environ, _ := os.ReadFile(filepath.Join(proc, "environ"))
		folder, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if len(command) > 0 && strings.Contains(string(command)+string(environ)+folder, u.dir) {
			found[pid] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
	return found
}

// eventually waits for what takes a moment.
func eventually(t *testing.T, patience time.Duration, check func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		err := check()
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > patience {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// gone waits until nothing of the user's runs.
func (u *user) gone() {
	u.t.Helper()
	eventually(u.t, 15*time.Second, func() error {
		if left := u.processes(); len(left) > 0 {
			return fmt.Errorf("still running: %v", left)
		}
		return nil
	})
}

// write puts files into a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// timeout bounds one request of a test.
func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

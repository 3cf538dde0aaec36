package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

// process is the zygote: a child of this process, or of a template.
type process struct {
	pid int
	// done is closed when it has ended; err then says how, nil: with status 0.
	done chan struct{}
	err  error
}

// startProcess starts cmd such that it is killed when this process ends.
//
// Linux sends the parent-death signal when the *thread* that forked the child
// ends, and Go ends threads as it likes. So one goroutine keeps a thread to
// itself, starts the child there and stays until it has reaped it.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// kill ends the process and everything in its group, which it leads. Safe while
// it has not been reaped, and harmless after: a group's number stays taken while
// it has members.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		if syscall.Kill(-p.pid, syscall.SIGKILL) != nil {
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // it does not lead its group yet
		}
	}
}

// command returns the zygote's command line without environment and files.
func (s *Spec) command() *exec.Cmd {
	args := append([]string(nil), s.Wrapper...)
	// -s: no packages from a user's home; -B: never write bytecode into a
	// bundle; -u: what bypasses our streams is not kept in a buffer.
	args = append(args, s.Interpreter, "-s", "-u", "-B", filepath.Join(s.Program, "chiron_host", "__main__.py"))
	return exec.Command(args[0], args[1:]...)
}

// environment builds the processes' environment, and what of the functions'
// own cannot be shared because two of them disagree, by function.
func (s *Spec) environment(workDir string) (env []string, own map[string]map[string]string, err error) {
	vars := map[string]string{
		"PATH":   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME":   workDir,
		"TMPDIR": filepath.Join(workDir, "tmp"),
		"LANG":   "C.UTF-8",
	}
	for _, name := range []string{"PATH", "TZ", "HOSTNAME"} {
		if v, ok := os.LookupEnv(name); ok {
			vars[name] = v
		}
	}
	if _, ok := vars["HOSTNAME"]; !ok {
		if name, err := os.Hostname(); err == nil {
			vars["HOSTNAME"] = name
		}
	}
	for _, e := range s.Env {
		name, value, ok := strings.Cut(e, "=")
		if !ok || name == "" {
			return nil, nil, fmt.Errorf("environment %q: want NAME=value", name)
		}
		vars[name] = value
	}
	shared := make(map[string]string)
	disputed := make(map[string]bool)
	for _, f := range s.Functions {
		for name, value := range f.Env {
			if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
				return nil, nil, fmt.Errorf("function %q: environment variable %q cannot be set", f.Name, name)
			}
			if old, ok := shared[name]; ok && old != value {
				disputed[name] = true
			}
			shared[name] = value
		}
	}
	own = make(map[string]map[string]string)
	for _, f := range s.Functions {
		for name, value := range f.Env {
			if !disputed[name] {
				vars[name] = value
				continue
			}
			if own[f.Name] == nil {
				own[f.Name] = make(map[string]string)
			}
			own[f.Name][name] = value
		}
	}
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	sort.Strings(env)
	return env, own, nil
}

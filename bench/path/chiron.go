package path

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/plan"
)

// handler is what both systems run.
const handler = `def handler(event, context):
    return event
`

const (
	// startPatience bounds the start of a system, stopPatience its end.
	startPatience = time.Minute
	stopPatience  = 20 * time.Second
)

// chiron is a "chiron up" that serves.
type chiron struct {
	command *exec.Cmd
	output  *bytes.Buffer
	// gateway and agent of the workflow.
	gateway, agent load.Target
}

// startChiron serves a workflow of n trivial functions in one process.
func startChiron(ctx context.Context, binary, dir, name string, n int) (*chiron, error) {
	project := filepath.Join(dir, name)
	if err := writeProject(project, name, n); err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	state := filepath.Join(dir, "run-"+name)
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	c := &chiron{output: &bytes.Buffer{}}
	c.command = exec.Command(binary, "up", project, "--listen", "127.0.0.1:0", "--output", "json")
	c.command.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+state) // beside this user's deployments
	c.command.Stderr = c.output
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.command.Process.Signal(syscall.SIGTERM) })
	defer stop()
	patience := time.AfterFunc(startPatience, func() { _ = c.command.Process.Signal(syscall.SIGTERM) })
	defer patience.Stop()
	var up struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(stdout).Decode(&up); err != nil {
		return nil, errors.Join(fmt.Errorf("bench path: chiron up did not come up: %w: %s", err, lastLine(c.output.String())), c.stop())
	}
	u, err := url.Parse(up.URL)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench path: %w", err), c.stop())
	}
	c.gateway = load.Target{Network: "tcp", Address: u.Host, Path: "/function/" + name, Body: body}
	target, err := local.New(local.Options{Binary: binary, Dir: filepath.Join(state, "chiron")})
	if err == nil {
		status, statusErr := target.Status(ctx, name)
		if err = statusErr; err == nil {
			c.agent = load.Target{Network: "unix", Address: strings.TrimPrefix(status.Wraps[0].Address, "unix://"), Path: "/", Body: body}
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench path: %w", err), c.stop())
	}
	return c, nil
}

// stop takes it down.
func (c *chiron) stop() error { return stop(c.command) }

func stop(c *exec.Cmd) error {
	_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
	kill := time.AfterFunc(stopPatience, func() { _ = c.Process.Kill() })
	defer kill.Stop()
	err := c.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // ended as it was told to
	}
	return err
}

// writeProject writes a project with its plan, so that nothing is measured to
// serve it.
func writeProject(dir, name string, n int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	states := make(map[string]any)
	process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
	for i := range n {
		task := fmt.Sprintf("Task%d", i+1)
		state := map[string]any{"Type": "Task", "Resource": "echo"}
		if i+1 < n {
			state["Next"] = fmt.Sprintf("Task%d", i+2)
		} else {
			state["End"] = true
		}
		states[task] = state
		process.Tasks = append(process.Tasks, task)
	}
	definition, err := json.Marshal(map[string]any{"StartAt": "Task1", "States": states})
	if err != nil {
		return err
	}
	made := &plan.Plan{Workflow: name, Model: "bench", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{process}}}}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "chiron.yaml"), []byte("name: "+name+"\ndefinition: workflow.asl.json\nfunctions:\n  echo: {lang: python, handler: echo.py, runtime: /usr/bin/python3}\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "workflow.asl.json"), definition, 0o644),
		os.WriteFile(filepath.Join(dir, "echo.py"), []byte(handler), 0o644),
		plan.Write(filepath.Join(dir, "plan.json"), made),
	)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

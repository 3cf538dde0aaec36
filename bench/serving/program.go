package serving

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
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/local"
)

const (
	// stopPatience bounds the end of a program.
	stopPatience = 20 * time.Second
	// DefaultPatience bounds the start of one: ProgramOptions.Patience.
	DefaultPatience = time.Minute
)

// Programs are the files of this repository's programs.
type Programs struct {
	// Chiron is the one whose "chiron up" serves.
	Chiron string
	// Agent is chiron-agent, which runs wraps. Chiron finds its own.
	Agent string
}

// ProgramOptions of Start. All are needed but Body and Patience.
type ProgramOptions struct {
	// Chiron is the program whose "chiron up" serves, with its agent beside it.
	Chiron string
	// Project is the folder of the project, whose plan.json says what is served.
	Project string
	// Name of the project.
	Name string
	// State is a folder for the deployment's own, made where it is not there.
	// Sockets lie in it: the shorter its path the better (unix(7): 107 bytes).
	State string
	// Body of requests, JSON.
	Body []byte
	// Patience bounds the start; 0: DefaultPatience.
	Patience time.Duration
}

// Program is a "chiron up" that serves: a whole deployment with its gateway, as a
// user has it.
type Program struct {
	options ProgramOptions
	command *exec.Cmd
	output  *bytes.Buffer
	address string // of the gateway
}

// Start starts one and returns when it serves. It takes no plan but the project's.
func Start(ctx context.Context, o ProgramOptions) (*Program, error) {
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, err
	}
	p := &Program{options: o, output: &bytes.Buffer{}}
	p.command = exec.Command(o.Chiron, "up", o.Project, "--listen", "127.0.0.1:0", "--output", "json")
	p.command.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+o.State) // beside this user's deployments
	p.command.Stderr = p.output
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	end := func() { _ = p.command.Process.Signal(syscall.SIGTERM) }
	stop := context.AfterFunc(ctx, end)
	defer stop()
	patience := time.AfterFunc(o.Patience, end)
	defer patience.Stop()
	var up struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(stdout).Decode(&up); err != nil {
		// What it said is whole only when it has ended.
		stopErr := p.Stop()
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), stopErr)
		}
		return nil, errors.Join(fmt.Errorf("chiron up of %q did not come up within %v: %s", o.Name, o.Patience, LastLine(p.output.String())), stopErr)
	}
	u, err := url.Parse(up.URL)
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	p.address = u.Host
	return p, nil
}

// PID of the program, below which is everything that it serves with.
func (p *Program) PID() int { return p.command.Process.Pid }

// Gateway is where its users send requests of the workflow.
func (p *Program) Gateway() load.Target {
	return load.Target{Network: "tcp", Address: p.address, Path: "/function/" + p.options.Name, Body: p.options.Body}
}

// Agent is wrap 1, past the gateway.
func (p *Program) Agent(ctx context.Context) (load.Target, error) {
	status, err := p.Status(ctx)
	if err != nil {
		return load.Target{}, err
	}
	return load.Target{Network: "unix", Address: strings.TrimPrefix(status.Wraps[0].Address, "unix://"), Path: "/", Body: p.options.Body}, nil
}

// Status of the deployment.
func (p *Program) Status(ctx context.Context) (deploy.Status, error) {
	target, err := local.New(local.Options{Dir: filepath.Join(p.options.State, "chiron")})
	if err != nil {
		return deploy.Status{}, err
	}
	return target.Status(ctx, p.options.Name)
}

// Stop takes it down.
func (p *Program) Stop() error { return Stop(p.command) }

// Stop ends a program that was started, as its user would, and waits for it.
func Stop(c *exec.Cmd) error {
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

// LastLine of a text that is not empty.
func LastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

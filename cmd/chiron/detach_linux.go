package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/workflow"
)

// readyFD of a detached process: the first of exec.Cmd.ExtraFiles.
const detachedReadyFD = 3

// detach starts "chiron up" of a project whose plan is made, in a session of its
// own, and returns when it serves. Until then it goes if this process does.
func (a *app) detach(ctx context.Context, project *workflow.Project, address string, flags ...string) (err error) {
	self, err := a.self()
	if err != nil {
		return err
	}
	name := filepath.Join(pipeline.FilesOf(project).Dir, "up.log")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	log, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ready, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer func() { _ = ready.Close() }()
	args := []string{"up", project.Dir, "--listen", address, "--output", string(a.output), "--ready-fd", fmt.Sprint(detachedReadyFD)}
	args = append(args, flags...)
	if a.verbose {
		args = append(args, "--verbose")
	}
	cmd := exec.Command(self, args...) // not ctx's: it outlives it
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = tell.Close() // the child's end is what counts
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(ready).ReadString('\n') // the end: it did not come up
		said <- line
	}()
	select {
	case line := <-said:
		if line != "" {
			printed, err := os.ReadFile(name)
			if err != nil {
				return fmt.Errorf("detach: %w", err)
			}
			if _, err := a.out.Write(printed); err != nil {
				return err
			}
			return cmd.Process.Release()
		}
		_ = cmd.Wait() // its own words say more than its exit code
		return errors.New(lastWords(name))
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-said // the pipe ends with it
		_ = cmd.Wait()
		return ctx.Err()
	}
}

// lastWords is what a process that did not come up said last.
func lastWords(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return "it did not come up: " + err.Error()
	}
	var said []string
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "chiron: "); ok {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		return "it did not come up and said nothing; see " + file
	}
	return strings.Join(said, "\n")
}

// tellReady writes to the process that waits for this one to serve.
func tellReady(fd int) error {
	f := os.NewFile(uintptr(fd), "ready")
	if f == nil {
		return fmt.Errorf("--ready-fd %d is no open file", fd)
	}
	_, err := io.WriteString(f, "ready\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--ready-fd %d: %w", fd, err)
	}
	return nil
}

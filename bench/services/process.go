package services

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
)

// process is a server that runs.
type process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Started is when it did, in the kernel's ticks since the machine's start: a
	// process of that number with another one is a stranger.
	Started uint64 `json:"started"`
	// Signal ends it in order.
	Signal syscall.Signal `json:"signal"`
	Log    string         `json:"log"`
}

// server says how one is started.
type server struct {
	name    string
	path    string
	args    []string
	env     []string
	signal  syscall.Signal
	as      *syscall.Credential
	outlive bool
	dir     string
}

// start starts a server, its output in a file of dir.
//
// One that is to end with this process gets the parent-death signal, which Linux
// sends when the thread that forked it ends: one goroutine keeps that thread
// until the server has been reaped.
func (s server) start() (*process, error) {
	log := filepath.Join(s.dir, strings.ToLower(s.name)+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	defer func() { _ = out.Close() }() // the server has its own
	cmd := exec.Command(s.path, s.args...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + s.dir}, s.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.as}
	if !s.outlive {
		cmd.SysProcAttr.Pdeathsig = s.signal
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log says how it ended
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("services: start %s: %w", s.name, err)
	}
	p := &process{Name: s.name, PID: cmd.Process.Pid, Signal: s.signal, Log: log}
	stat, _ := procfs.ReadStat(p.PID) // none where it has ended: nothing else is taken for it
	p.Started = stat.Start
	return p, nil
}

// alive reports whether the process runs; one that waits to be reaped does not.
func (p *process) alive() bool {
	s, err := procfs.ReadStat(p.PID)
	return err == nil && s.Start == p.Started && !s.Dead()
}

// patience bounds the end of a server, and all that is tried before it is up.
const patience = 20 * time.Second

// stop ends the process and its children, in order if it follows.
func (p *process) stop() error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, p.Signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("services: end %s (process %d): %w", p.Name, p.PID, err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !p.alive() {
			return nil
		}
	}
	// It leads its session and so its group.
	if err := syscall.Kill(-p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("services: kill %s (process %d): %w", p.Name, p.PID, err)
	}
	return fmt.Errorf("services: %s (process %d) did not end within %v and was killed", p.Name, p.PID, patience)
}

// lastWords are the last line that a server logged.
func (p *process) lastWords() string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1] + " (" + p.Log + ")"
}

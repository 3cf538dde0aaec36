package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/atomicfile"
)

// StateFile, in Options.Dir, says where services run that outlive their starter.
const StateFile = "services.json"

// Services are running.
type Services struct {
	Ports     Ports      `json:"ports"`
	Processes []*process `json:"processes"`

	dir      string
	programs programs
}

// Start starts the services, waits until they answer and puts the workflows' data
// there. What was in Dir before is lost. After an error nothing runs.
func Start(ctx context.Context, o Options) (_ *Services, err error) {
	if o.Ports == (Ports{}) {
		o.Ports = DefaultPorts()
	}
	s := &Services{Ports: o.Ports}
	if s.programs, err = find(o); err != nil {
		return nil, err
	}
	if s.dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	if other, err := Attach(s.dir); err == nil && other.Running() {
		return nil, fmt.Errorf("services: some run in %s: end them first: make services-stop", s.dir)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	as, err := account()
	if err != nil {
		return nil, err
	}
	if err := prepareDirs(s.dir, as); err != nil {
		return nil, err
	}
	if err := s.initPostgres(ctx, as); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	for _, server := range s.servers() {
		server.as, server.outlive, server.dir = as, o.Outlive, s.dir
		p, err := server.start()
		if err != nil {
			return nil, err
		}
		s.Processes = append(s.Processes, p)
	}
	if o.Outlive {
		if err := s.save(); err != nil {
			return nil, err
		}
	}
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	if err := s.Seed(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// folders of the services in Dir.
const (
	postgresDir = "postgres"
	s3Dir       = "s3"
)

// prepareDirs makes the folders anew, for the user whom the servers run as.
func prepareDirs(dir string, as *syscall.Credential) error {
	for _, folder := range []string{postgresDir, s3Dir} {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			return fmt.Errorf("services: %w", err)
		}
	}
	for _, folder := range []string{dir, filepath.Join(dir, postgresDir), filepath.Join(dir, s3Dir)} {
		if err := mkdirFor(folder, as); err != nil {
			return err
		}
	}
	return nil
}

// mkdirFor makes a folder and gives it to a user; nil: this process'.
func mkdirFor(folder string, as *syscall.Credential) error {
	err := os.MkdirAll(folder, 0o755)
	if err == nil && as != nil {
		err = os.Chown(folder, int(as.Uid), int(as.Gid))
	}
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	return nil
}

// servers are the four, PostgreSQL first: it takes the longest.
func (s *Services) servers() []server {
	port := func(n int) string { return fmt.Sprint(n) }
	all := []server{
		{
			name: postgres, path: s.programs.postgres, signal: syscall.SIGINT, // "fast": it ends its sessions
			args: []string{
				"-D", filepath.Join(s.dir, postgresDir), "-p", port(s.Ports.Postgres),
				"-c", "listen_addresses=127.0.0.1",
				// A path of its own may be too long for a socket's name.
				"-c", "unix_socket_directories=",
				// Every call of a function has a session.
				"-c", "max_connections=300", "-c", "shared_buffers=32MB",
			},
		},
		{
			name: redis, path: s.programs.redis, signal: syscall.SIGTERM,
			args: []string{
				"--bind", "127.0.0.1", "--port", port(s.Ports.Redis),
				// Sessions and timelines: what is lost is read again from PostgreSQL.
				"--save", "", "--appendonly", "no", "--dir", s.dir,
			},
		},
		{
			name: memcached, path: s.programs.memcached, signal: syscall.SIGTERM,
			args: []string{"-l", "127.0.0.1", "-p", port(s.Ports.Memcached), "-U", "0", "-m", "64", "-t", "2"},
		},
	}
	if s.Ports.S3 != 0 {
		all = append(all, server{
			name: s3, path: s.programs.gateway, signal: syscall.SIGTERM,
			args: []string{"--port", address(s.Ports.S3), "--quiet", "--health", healthPath, "posix", filepath.Join(s.dir, s3Dir)},
			// In the environment: everybody may read a process' arguments.
			env: []string{"ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey},
		})
	}
	return all
}

// Running reports whether all of the services' processes do.
func (s *Services) Running() bool {
	for _, p := range s.Processes {
		if !p.alive() {
			return false
		}
	}
	return len(s.Processes) > 0
}

// Env is what the workflows' functions find in their environment.
func (s *Services) Env() map[string]string { return s.Ports.Env() }

// Stop ends the services. Their files stay in Dir, to be looked at.
func (s *Services) Stop() error {
	var errs []error
	for _, p := range s.Processes {
		errs = append(errs, p.stop())
	}
	s.Processes = nil
	if err := os.Remove(filepath.Join(s.dir, StateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, fmt.Errorf("services: %w", err))
	}
	return errors.Join(errs...)
}

// ErrNotRunning says that a folder has no services that run.
var ErrNotRunning = errors.New("services: none run: start them with make services")

// Attach finds the services that another process started in dir to outlive it.
func Attach(dir string) (*Services, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	file := filepath.Join(dir, StateFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	s := &Services{dir: dir}
	s.programs.psql = postgresTool("psql") // seeding needs it
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("services: %s is damaged: end the servers by hand and remove it: %w", file, err)
	}
	return s, nil
}

func (s *Services) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(s.dir, StateFile), append(data, '\n')); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	return nil
}

// wait returns when all services answer.
func (s *Services) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.Ports.healthy(ctx)
		if err == nil {
			return nil
		}
		for _, p := range s.Processes {
			if !p.alive() {
				return fmt.Errorf("services: %s ended as it was started: %s", p.Name, p.lastWords())
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("services: not up within %v: %w", patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

package services

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// access is who may come in: the workflows' role, which is no superuser, over
// loopback, to the workflows' database. It needs no password, as everything in
// there is made up; nobody can come in as the server's own user.
const access = "host workflows workflows 127.0.0.1/32 trust\n"

// initPostgres makes a new database cluster with the workflows' role and database.
func (s *Services) initPostgres(ctx context.Context, as *syscall.Credential) error {
	data := filepath.Join(s.dir, postgresDir)
	run := func(in io.Reader, path string, args ...string) error {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir, cmd.Stdin = s.dir, in
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("services: make PostgreSQL's files in %s: %w: %s (all folders above must be open to the user that runs it)", data, err, lastLine(out))
		}
		return nil
	}
	// The files are made anew by each start: they need not survive this machine's.
	if err := run(nil, s.programs.initdb, "-D", data, "-U", "postgres", "-E", "UTF8", "--auth=reject", "--no-sync", "--no-instructions"); err != nil {
		return err
	}
	// A server of one process, which reads a statement a line and that nobody else
	// can talk to.
	statements := "CREATE ROLE workflows LOGIN\nCREATE DATABASE workflows OWNER workflows\n"
	if err := run(strings.NewReader(statements), s.programs.postgres, "--single", "-F", "-D", data, "postgres"); err != nil {
		return err
	}
	hba := filepath.Join(data, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte(access), 0o600); err != nil { // it exists: its owner stays
		return fmt.Errorf("services: %w", err)
	}
	return nil
}

// sql has PostgreSQL run a script, as the workflows' role, and answers what it
// prints.
func (s *Services) sql(ctx context.Context, script io.Reader) (string, error) {
	return psql(ctx, s.programs.psql, s.Ports.Postgres, script)
}

func psql(ctx context.Context, program string, port int, script io.Reader) (string, error) {
	cmd := exec.CommandContext(ctx, program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		"-h", "127.0.0.1", "-p", fmt.Sprint(port), "-U", "workflows", "-d", "workflows", "-f", "-")
	cmd.Stdin = script
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PGCONNECT_TIMEOUT=3", "PGOPTIONS=-c client_min_messages=warning"}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s at %s: %w: %s", postgres, address(port), err, lastLine(complaints.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

func lastLine(out []byte) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return string(lines[len(lines)-1])
}

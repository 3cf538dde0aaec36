package services

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// programs are the servers' and their tools' paths.
type programs struct {
	initdb, postgres, psql, redis, memcached, gateway string
}

// install is the line that puts Debian's packages on this machine.
const install = "make services, or: sudo apt-get install postgresql redis-server memcached"

// Installed says with a *MissingError which server is not on this machine.
func Installed(o Options) error {
	_, err := find(o)
	return err
}

func find(o Options) (programs, error) {
	var p programs
	for _, tool := range []struct {
		path *string
		name string
	}{{&p.initdb, "initdb"}, {&p.postgres, "postgres"}, {&p.psql, "psql"}} {
		if *tool.path = postgresTool(tool.name); *tool.path == "" {
			return p, &MissingError{Program: postgres + " (" + tool.name + ")", Install: install}
		}
	}
	var err error
	if p.redis, err = exec.LookPath("redis-server"); err != nil {
		return p, &MissingError{Program: redis, Install: install}
	}
	if p.memcached, err = exec.LookPath("memcached"); err != nil {
		return p, &MissingError{Program: memcached, Install: install}
	}
	if o.Ports != (Ports{}) && o.Ports.S3 == 0 {
		return p, nil
	}
	gateway := o.Gateway
	if gateway == "" {
		gateway = "versitygw"
	}
	if p.gateway, err = exec.LookPath(gateway); err != nil {
		return p, &MissingError{Program: "the object server (" + gateway + ")", Install: "make services builds it"}
	}
	if p.gateway, err = filepath.Abs(p.gateway); err != nil {
		return p, fmt.Errorf("services: %w", err)
	}
	return p, nil
}

// postgresTool finds a program of PostgreSQL: Debian keeps each version's in a
// folder outside of PATH. Empty: there is none.
func postgresTool(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is valid
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for an odd folder
		return n
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// account is whom the servers run as: nil is this process' own user.
// PostgreSQL refuses root, and the others have no need of it.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("services: the user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("services: the group of the user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("services: root starts them as another user, and this machine has neither postgres nor nobody: start them as a user who is not root")
}

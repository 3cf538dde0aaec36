package workflows

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/examples"
	"github.com/chiron-faas/chiron/workflow"
)

//go:embed projects
var projects embed.FS

// List are the workflows' names, as the paper has them in its figures.
func List() []string {
	return []string{"sn", "mr", "slapp", "slapp-v", "finra-5", "finra-50", "finra-100", "finra-200"}
}

// NeedsServices reports whether a workflow's functions talk to stores.
func NeedsServices(name string) bool {
	return !strings.HasPrefix(name, finra)
}

// Write writes a workflow's project into dir, which it makes, for services at the
// ports, and loads it.
func Write(name, dir string, ports services.Ports) (*workflow.Project, error) {
	if err := write(name, dir, ports); err != nil {
		return nil, fmt.Errorf("write the workflow %q: %w", name, err)
	}
	return workflow.Load(dir)
}

func write(name, dir string, ports services.Ports) error {
	if !slices.Contains(List(), name) {
		return fmt.Errorf("there is none of that name: choose from %s", strings.Join(List(), ", "))
	}
	// What is there may be a user's own.
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder", dir)
	}
	var err error
	if n, ok := finraSize(name); ok {
		err = writeFINRA(n, dir)
	} else {
		err = writeOwn(name, dir)
	}
	if err != nil {
		return err
	}
	return movePorts(filepath.Join(dir, workflow.ProjectFile), ports)
}

// writeOwn writes a project that has a folder of its own here.
func writeOwn(name, dir string) error {
	own, err := project(name)
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, own); err != nil {
		return err
	}
	functions := filepath.Join(dir, "functions")
	if name == sn || name == mr {
		clients, err := project("stores") // how both talk to their stores
		if err != nil {
			return err
		}
		return copyAll(clients, functions, nil)
	}
	// The functions that compute are the example's; the one that uses the network
	// is SLApp's own here.
	network, err := fs.ReadFile(projects, "projects/slapp/functions/networkio.py")
	if err != nil {
		return err
	}
	computing, err := fs.Sub(examples.SLApp(), "functions")
	if err != nil {
		return err
	}
	return copyAll(computing, functions, map[string][]byte{"networkio.py": network})
}

// copyAll copies files into a folder, which may be there, but for those that are
// replaced.
func copyAll(from fs.FS, to string, replaced map[string][]byte) error {
	return fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(at, 0o755)
		}
		data, ok := replaced[name]
		if !ok {
			if data, err = fs.ReadFile(from, name); err != nil {
				return err
			}
		}
		return os.WriteFile(at, data, 0o644)
	})
}

func project(name string) (fs.FS, error) { return fs.Sub(projects, path.Join("projects", name)) }

// movePorts rewrites the services' addresses in a project file.
func movePorts(file string, ports services.Ports) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var pairs []string
	from, to := services.DefaultPorts(), ports
	for _, port := range [][2]int{
		{from.Postgres, to.Postgres}, {from.Redis, to.Redis}, {from.Memcached, to.Memcached}, {from.S3, to.S3},
	} {
		pairs = append(pairs, "127.0.0.1:"+strconv.Itoa(port[0]), "127.0.0.1:"+strconv.Itoa(port[1]))
	}
	return os.WriteFile(file, []byte(strings.NewReplacer(pairs...).Replace(string(data))), 0o644)
}

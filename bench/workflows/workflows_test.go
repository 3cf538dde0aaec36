package workflows

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bench/services"
)

// The stages are the paper's (section 6.1, and section 2 for FINRA).
func TestWrite(t *testing.T) {
	ports := services.Ports{Postgres: 1, Redis: 2, Memcached: 3, S3: 4}
	for _, test := range []struct {
		name   string
		stages []int // tasks of each
	}{
		{"sn", []int{1, 5, 1, 3}},
		{"mr", []int{1, 4, 1, 3}},
		{"slapp", []int{4, 3}},
		{"slapp-v", []int{1, 5, 1, 2, 1}},
		{"finra-5", []int{5, 1}},
		{"finra-50", []int{50, 1}},
		{"finra-100", []int{100, 1}},
		{"finra-200", []int{200, 1}},
	} {
		if !slices.Contains(List(), test.name) {
			t.Errorf("%s is not listed", test.name)
		}
		dir := filepath.Join(t.TempDir(), "p")
		p, err := Write(test.name, dir, ports)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if p.Name != test.name || p.InputFile == "" || p.SLO.Latency == 0 {
			t.Errorf("%s: name %q, input %q, SLO %v", test.name, p.Name, p.InputFile, p.SLO)
		}
		var stages []int
		for _, s := range p.Definition.Stages() {
			stages = append(stages, len(s.Root.Tasks()))
		}
		if !slices.Equal(stages, test.stages) {
			t.Errorf("%s: stages of %v tasks, want %v", test.name, stages, test.stages)
		}
		env := ports.Env()
		reached := 0
		for _, f := range p.Functions {
			for name, value := range f.Env {
				reached++
				if env[name] != value {
					t.Errorf("%s: %s has %s=%s, the services say %q", test.name, f.Name, name, value, env[name])
				}
			}
		}
		if (reached > 0) != NeedsServices(test.name) {
			t.Errorf("%s: %d addresses, needs services: %v", test.name, reached, NeedsServices(test.name))
		}
		if _, err := Write(test.name, dir, ports); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("%s: written over what is there: %v", test.name, err)
		}
	}
	if n := len(List()); n != 8 {
		t.Errorf("%d workflows, 8 are tested", n)
	}
	for _, name := range []string{"cube", "finra-7", "finra-", "finra-0"} {
		if _, err := Write(name, t.TempDir(), ports); err == nil || !strings.Contains(err.Error(), "slapp-v") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The projects in their folders ask for the ports of make services.
func TestDefaultPorts(t *testing.T) {
	for _, name := range List() {
		p, err := Write(name, filepath.Join(t.TempDir(), "p"), services.DefaultPorts())
		if err != nil {
			t.Fatal(err)
		}
		env := services.DefaultPorts().Env()
		for _, f := range p.Functions {
			for name, value := range f.Env {
				if env[name] != value {
					t.Errorf("%s: %s=%s, the services say %q", f.Name, name, value, env[name])
				}
			}
		}
	}
}

// Each project is whole: what two of them share is the same.
func TestSharedFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{sn, mr} {
		if _, err := Write(name, filepath.Join(dir, name), services.DefaultPorts()); err != nil {
			t.Fatal(err)
		}
	}
	written := os.DirFS(dir)
	for _, name := range []string{"stores.py", "requirements.txt"} {
		a, errA := fs.ReadFile(written, "sn/functions/"+name)
		b, errB := fs.ReadFile(written, "mr/functions/"+name)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s of sn and of mr differ (%v, %v)", name, errA, errB)
		}
	}
}

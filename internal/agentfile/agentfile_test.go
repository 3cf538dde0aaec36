package agentfile

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/internal/programtest"
)

// program writes a file that could be run.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFind(t *testing.T) {
	beside, inPath, empty := t.TempDir(), t.TempDir(), t.TempDir()
	near, far := program(t, beside, Name), program(t, inPath, Name)
	other := program(t, empty, "another")
	for _, c := range []struct {
		name, program, named, path string
		want, fault                string
	}{
		{name: "beside chiron", program: filepath.Join(beside, "chiron"), path: inPath, want: near},
		{name: "in PATH", program: filepath.Join(empty, "chiron"), path: inPath, want: far},
		{name: "named", program: filepath.Join(beside, "chiron"), named: other, path: inPath, want: other},
		{name: "nowhere", program: filepath.Join(empty, "chiron"), path: empty, fault: "make build makes both, as does go install"},
		{name: "named and not there", program: filepath.Join(beside, "chiron"), named: "/no/such/agent", path: inPath, fault: "$CHIRON_AGENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			got, err := Find(c.program, c.named)
			if c.fault == "" && (err != nil || got != c.want) {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
			if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %v, want one line with %q", err, c.fault)
			}
		})
	}
}

// TestCheck: an agent of the same version is taken, and neither another version's
// nor another program.
func TestCheck(t *testing.T) {
	agent := programtest.BuildAgent(t)
	info, err := Read(agent)
	if err != nil {
		t.Fatal(err)
	}
	own := *info
	own.Path = "github.com/chiron-faas/chiron/cmd/chiron"
	if err := Check(agent, &own); err != nil {
		t.Error(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	released := own
	released.Main.Version = "v9.9.9"
	moved := own
	moved.Settings = append([]debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}, withoutRevision(own.Settings)...)
	for _, c := range []struct {
		file string
		own  *debug.BuildInfo
		want string
	}{
		{agent, &released, "this chiron is v9.9.9"},
		{agent, &moved, "revision 0123456789ab"},
		{self, &own, "give a chiron-agent"},
		{"/bin/sh", &own, "no program made by Go"},
	} {
		err := Check(c.file, c.own)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", c.file, err, c.want)
		}
	}
}

func withoutRevision(settings []debug.BuildSetting) []debug.BuildSetting {
	var rest []debug.BuildSetting
	for _, s := range settings {
		if !strings.HasPrefix(s.Key, "vcs.") {
			rest = append(rest, s)
		}
	}
	return rest
}

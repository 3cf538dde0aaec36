package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func arm311() *Target {
	return &Target{Version: "3.11.4", Platforms: []string{"manylinux_2_36_aarch64", "manylinux2014_aarch64", "linux_aarch64"}, Machine: "aarch64", Name: "linux/arm64 (glibc 2.36)"}
}

// TestTarget: pure Python goes everywhere, whatever interpreter this machine has,
// and handlers are compiled only where one of the version is there.
func TestTarget(t *testing.T) {
	requirePip(t)
	wheels(t)
	p := project(t, twoTasks, withRequirements("apple==1.0", ""))
	o := Options{
		Project: p, Plan: apart(p), OutDir: t.TempDir(),
		Target: func(wrap string) *Target {
			if wrap == "wrap-1" {
				return arm311()
			}
			return nil
		},
	}
	if got := tree(t, build(t, o)[0].Dir)["site/apple/__init__.py"].Content; !strings.Contains(got, "1.0") {
		t.Errorf("apple is %q", got)
	}
	// No Python has this version: the handler, which none of ours compiles, is left
	// to the image's.
	write(t, p.Dir, map[string]string{"greet/handler.py": "def handle(req) -> :\n"})
	far := arm311()
	far.Version = "3.99"
	o.Target = func(string) *Target { return far }
	o.OutDir, o.Interpreter = t.TempDir(), findInterpreter
	build(t, o)
	o.Interpreter = quickly
	o.Target = func(string) *Target { return nil }
	if _, err := Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "SyntaxError") {
		t.Errorf("got %v", err)
	}
}

func TestTargetNeedsItsFields(t *testing.T) {
	for _, change := range []func(*Target){
		func(x *Target) { x.Version = "3" }, func(x *Target) { x.Version = "3.x" }, func(x *Target) { x.Platforms = nil },
		func(x *Target) { x.Machine = "" }, func(x *Target) { x.Name = "" },
	} {
		x := arm311()
		change(x)
		if x.check() == nil {
			t.Errorf("%+v is taken", x)
		}
	}
	if err := arm311().check(); err != nil {
		t.Error(err)
	}
}

// TestTargetFits: a package that pip built on this machine is not taken to another.
func TestTargetFits(t *testing.T) {
	for tag, fits := range map[string]bool{
		"py3-none-any": true, "cp311-cp311-manylinux2014_aarch64": true, "cp38-abi3-linux_aarch64": true, "py3-none-linux_aarch64": true,
		"cp311-cp311-linux_x86_64": false, "cp312-cp312-linux_aarch64": false, "py3-none-macosx_11_0_arm64": false,
	} {
		site := t.TempDir()
		info := filepath.Join(site, "own-1.0.dist-info")
		if err := os.MkdirAll(info, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(info, "WHEEL"), []byte("Wheel-Version: 1.0\nTag: "+tag+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := arm311().fits(site)
		if (err == nil) != fits {
			t.Errorf("%s: %v", tag, err)
		}
		if err != nil && !strings.Contains(err.Error(), "own-1.0") {
			t.Errorf("error %q does not name the package", err)
		}
	}
}

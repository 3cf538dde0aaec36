package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Interpreter is one that the machine has and the host runs on.
type Interpreter struct {
	// Lang is "python".
	Lang string
	// Version is complete: "3.11.7".
	Version string
	// Path of the executable; not a shim that picks another by folder.
	Path string
}

// OldestPython is the oldest CPython that the host runs on.
const OldestPython = "3.8"

// probeTimeout bounds one interpreter's answer to who it is.
const probeTimeout = 10 * time.Second

// Interpreters lists the CPythons that the host runs on: those on PATH first,
// in PATH's order, then those of pyenv, newest first. An interpreter that
// several names lead to is listed once.
func Interpreters(ctx context.Context) ([]Interpreter, error) {
	var found []Interpreter
	seen := make(map[string]bool)
	for _, path := range candidates() {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		i, err := probe(ctx, path)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("look for interpreters: %w", ctx.Err())
		}
		if err != nil {
			continue // not one that we can use, whatever its name
		}
		target, err := filepath.EvalSymlinks(i.Path)
		if err != nil || (seen[target] && target != real) {
			continue
		}
		seen[target] = true
		found = append(found, i)
	}
	return found, nil
}

// candidates lists files that may be interpreters.
func candidates() []string {
	var paths []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		paths = append(paths, filepath.Join(dir, "python3"))
		if isShims(dir) {
			continue
		}
		versioned, _ := filepath.Glob(filepath.Join(dir, "python3.*")) // fails only for a bad pattern
		paths = append(paths, newestFirst(keepPythons(versioned))...)
	}
	return append(paths, newestFirst(keepPythons(pyenv("3.*")))...)
}

// pyenv lists pyenv's interpreters of a version ("3.12.*").
func pyenv(version string) []string {
	paths, _ := filepath.Glob(filepath.Join(pyenvRoot(), "versions", version, "bin", "python3.*")) // fails only for a bad pattern
	return paths
}

// isShims tells pyenv's folder of shims. Those for a version take a quarter of
// a second each to lead to an interpreter that pyenv lists, or to none.
func isShims(dir string) bool { return filepath.Clean(dir) == filepath.Join(pyenvRoot(), "shims") }

// pyenvRoot is where pyenv keeps what it installs; the folder need not exist.
func pyenvRoot() string {
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		return filepath.Clean(root)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "/nonexistent"
	}
	return filepath.Join(home, ".pyenv")
}

// keepPythons drops python3.11-config and its like.
func keepPythons(paths []string) []string {
	var kept []string
	for _, p := range paths {
		if _, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(p), "python3.")); err == nil {
			kept = append(kept, p)
		}
	}
	return kept
}

func newestFirst(paths []string) []string {
	minor := func(p string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(p), "python3."))
		return n
	}
	sort.SliceStable(paths, func(i, j int) bool {
		if a, b := minor(paths[i]), minor(paths[j]); a != b {
			return a > b
		}
		return paths[i] > paths[j]
	})
	return paths
}

// probe asks an interpreter who it is. A shim (pyenv's) answers with the
// executable that it leads to.
func probe(ctx context.Context, path string) (Interpreter, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer within %v", probeTimeout))
	defer cancel()
	// -I and -S: neither this process's environment nor installed packages
	// have a say.
	cmd := exec.CommandContext(ctx, path, "-I", "-S", "-c",
		`import json,sys;print(json.dumps([sys.implementation.name,"%d.%d.%d"%sys.version_info[:3],sys.executable]))`)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil { // it was killed for that
		return Interpreter{}, fmt.Errorf("%s: %w", path, context.Cause(ctx))
	}
	if err != nil {
		if line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); line != "" {
			return Interpreter{}, fmt.Errorf("%s: %w: %s", path, err, line)
		}
		return Interpreter{}, fmt.Errorf("%s: %w", path, err)
	}
	var answer [3]string
	if err := json.Unmarshal(out, &answer); err != nil {
		return Interpreter{}, fmt.Errorf("%s does not answer like a Python 3: %w", path, err)
	}
	if answer[0] != "cpython" {
		return Interpreter{}, fmt.Errorf("%s is %s %s: the host runs on CPython", path, answer[0], answer[1])
	}
	if compareVersions(answer[1], OldestPython) < 0 {
		return Interpreter{}, fmt.Errorf("%s is Python %s: the host needs %s or newer", path, answer[1], OldestPython)
	}
	if !filepath.IsAbs(answer[2]) {
		answer[2] = path
	}
	return Interpreter{Lang: "python", Version: answer[1], Path: answer[2]}, nil
}

// compareVersions compares as many numbers as the shorter one has.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x - y
		}
	}
	return 0
}

// FindInterpreter finds the interpreter that a function asks for. runtime is
// empty (the python3 of PATH, else the first of Interpreters), a version ("3.12",
// "3.12.1"), a command ("python3.12") or a path.
func FindInterpreter(ctx context.Context, lang, runtime string) (Interpreter, error) {
	if lang != "python" {
		return Interpreter{}, fmt.Errorf("no host for lang %q: use python", lang)
	}
	switch {
	case runtime == "":
		if path, err := exec.LookPath("python3"); err == nil {
			if i, err := probe(ctx, path); err == nil {
				return i, nil
			}
		}
		all, err := Interpreters(ctx)
		if err != nil {
			return Interpreter{}, err
		}
		if len(all) > 0 {
			return all[0], nil
		}
		return Interpreter{}, errors.New("no python3 found (CPython " + OldestPython +
			" or newer): install one (apt-get install python3) or set runtime: to its path")
	case isVersion(runtime):
		return findVersion(ctx, runtime)
	case strings.ContainsRune(runtime, '/'):
		path, err := filepath.Abs(runtime)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return Interpreter{}, fmt.Errorf("runtime %q: %w", runtime, err)
		}
		i, err := probe(ctx, path)
		if err != nil {
			return Interpreter{}, fmt.Errorf("runtime %q: %w", runtime, err)
		}
		return i, nil
	default:
		version := strings.TrimPrefix(strings.TrimPrefix(runtime, "python"), "-")
		if path, err := exec.LookPath(runtime); err == nil && !(isVersion(version) && isShims(filepath.Dir(path))) {
			i, err := probe(ctx, path)
			if err == nil {
				return i, nil
			}
			// A shim that leads nowhere: its version may be there all the same.
		}
		if isVersion(version) {
			return findVersion(ctx, version)
		}
		return Interpreter{}, fmt.Errorf("runtime %q: no such command on PATH: "+
			"name a version (3.12), a command (python3.12) or a path", runtime)
	}
}

func isVersion(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if n, err := strconv.Atoi(part); err != nil || n < 0 {
			return false
		}
	}
	return true
}

// findVersion finds an interpreter whose version starts with what is asked.
func findVersion(ctx context.Context, version string) (Interpreter, error) {
	if compareVersions(version, OldestPython) < 0 {
		return Interpreter{}, fmt.Errorf("runtime %q: the host needs Python %s or newer", version, OldestPython)
	}
	// The names say which to ask first: asking each costs tens of milliseconds.
	parts := strings.Split(version, ".")
	if len(parts) >= 2 {
		name := "python" + parts[0] + "." + parts[1]
		var likely []string
		if path, err := exec.LookPath(name); err == nil && !isShims(filepath.Dir(path)) {
			likely = append(likely, path)
		}
		likely = append(likely, newestFirst(keepPythons(pyenv(parts[0]+"."+parts[1]+".*")))...)
		for _, path := range likely {
			if i, err := probe(ctx, path); err == nil && compareVersions(i.Version, version) == 0 {
				return i, nil
			}
		}
	}
	all, err := Interpreters(ctx)
	if err != nil {
		return Interpreter{}, err
	}
	var have []string
	for _, i := range all {
		if compareVersions(i.Version, version) == 0 {
			return i, nil
		}
		have = append(have, i.Version)
	}
	if len(have) == 0 {
		have = []string{"none"}
	}
	return Interpreter{}, fmt.Errorf("runtime %q: this machine has no Python %s (it has %s): install it (apt-get install python%s) "+
		"or set runtime: to one of these", version, version, strings.Join(have, ", "), version)
}

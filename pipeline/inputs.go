package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/internal/strictjson"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// inputs ties a profile to what it was measured from: the file .chiron/profile.inputs.json.
type inputs struct {
	APIVersion string `json:"apiVersion"`
	// Inputs is the digest of everything that a profile depends on.
	Inputs string `json:"inputs"`
	// Profile is the digest of the profile.json that was written.
	Profile string `json:"profile"`
	// Runs asked for and Tracer asked for.
	Runs   int    `json:"runs,omitempty"`
	Tracer string `json:"tracer,omitempty"`
}

// maxProfile bounds the profile.json that is read, bytes.
const maxProfile = 64 << 20

// fresh returns the project's profile where it is there and was measured on this
// machine from just these inputs; else why it was not.
func fresh(files Files, now digested, o ProfileOptions) (*profile.Profile, string) {
	if _, err := os.Stat(files.Profile); errors.Is(err, fs.ErrNotExist) {
		return nil, "there is none yet"
	}
	p, err := profile.Read(files.Profile)
	if err != nil {
		return nil, err.Error()
	}
	if why := p.Machine.Difference(profile.ThisMachine()); why != "" {
		return nil, "it was measured on " + why
	}
	for i := range p.Functions {
		f := &p.Functions[i]
		if version, ok := now.versions[f.Name]; ok && version != f.Version {
			return nil, fmt.Sprintf("function %q was measured on %s %s, and runs on %s", f.Name, f.Lang, f.Version, version)
		}
	}
	data, err := strictjson.ReadFile(files.Inputs, 1<<20)
	if err != nil {
		return nil, "it is not known what it was measured from"
	}
	var was inputs
	if err := strictjson.Decode(data, "profile.inputs", profile.APIVersion, &was); err != nil {
		return nil, "it is not known what it was measured from"
	}
	text, err := strictjson.ReadFile(files.Profile, maxProfile)
	switch {
	case err != nil:
		return nil, err.Error()
	case was.Profile != sum(text):
		return nil, "it was changed or replaced since it was measured"
	case was.Inputs != now.inputs:
		return nil, "the functions, the definition or the input changed since"
	case o.Runs != was.Runs && o.Runs != 0, o.Tracer != was.Tracer && o.Tracer != "":
		return nil, "other runs or another tracer are asked for"
	}
	return p, ""
}

// remember writes what the profile, just written, was measured from.
func remember(files Files, digest string, o ProfileOptions) error {
	text, err := strictjson.ReadFile(files.Profile, maxProfile)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(inputs{APIVersion: profile.APIVersion, Inputs: digest, Profile: sum(text), Runs: o.Runs, Tracer: o.Tracer}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(files.Inputs, append(data, '\n'))
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// digested is a project as a profile depends on it.
type digested struct {
	// inputs is a digest of everything but the machine: the definition, the
	// input, the functions' files, requirements, environments and interpreters.
	inputs string
	// versions of the functions' interpreters, by function.
	versions map[string]string
}

func digestInputs(ctx context.Context, p *workflow.Project) (digested, error) {
	d := digested{versions: make(map[string]string)}
	h := sha256.New()
	definition, err := json.Marshal(p.Definition)
	if err != nil {
		return d, err
	}
	item(h, "definition", string(definition))
	item(h, "input", string(p.Input))
	versions := make(map[[2]string]string)
	for _, name := range slices.Sorted(maps.Keys(p.Functions)) {
		f := p.Functions[name]
		item(h, "function", name, f.Lang, f.Runtime, f.File, f.Symbol, f.Timeout.String(), fmt.Sprint(f.Memory))
		for _, k := range slices.Sorted(maps.Keys(f.Env)) {
			item(h, "env", k, f.Env[k])
		}
		asked := [2]string{f.Lang, f.Runtime}
		if versions[asked] == "" {
			i, err := host.FindInterpreter(ctx, f.Lang, f.Runtime)
			if err != nil {
				return d, fmt.Errorf("function %q: %w", name, err)
			}
			versions[asked] = i.Version
		}
		d.versions[name] = versions[asked]
		item(h, "interpreter", versions[asked])
		if f.Requirements != "" {
			if err := fileItem(h, "requirements", f.Requirements); err != nil {
				return d, err
			}
		}
		if !f.Folder {
			err = fileItem(h, f.File, filepath.Join(f.Dir, f.File))
		} else {
			err = folderItems(h, f.Dir, FilesOf(p))
		}
		if err != nil {
			return d, fmt.Errorf("function %q: %w", name, err)
		}
	}
	d.inputs = hex.EncodeToString(h.Sum(nil))
	return d, nil
}

// item writes texts such that different lists never write the same.
func item(h hash.Hash, texts ...string) {
	for _, t := range texts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(t), t) // a hash never fails
	}
	_, _ = h.Write([]byte{'\n'})
}

func fileItem(h hash.Hash, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	one := sha256.New()
	if _, err := io.Copy(one, f); err != nil {
		return err
	}
	item(h, "file", name, hex.EncodeToString(one.Sum(nil)))
	return nil
}

// folderItems writes every regular file below a folder but our own, links
// followed once where they lead to a file.
func folderItems(h hash.Hash, dir string, own Files) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "__pycache__" || name != "." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if path == own.Profile || path == own.Plan {
			return nil
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			item(h, "other", name)
			return nil
		}
		return fileItem(h, name, path)
	})
}

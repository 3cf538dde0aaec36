package ocitest

import (
	"archive/tar"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/chiron-faas/chiron/host"
)

// Python is an image of this machine's Python: the interpreter, its standard library,
// and the libraries that these load. It is a base that can be run where no registry
// can be reached. Its layer is kept in the folder.
func Python(ctx context.Context, dir string) (v1.Image, error) {
	python, err := host.FindInterpreter(ctx, "python", "")
	if err != nil {
		return nil, err
	}
	executable, err := filepath.EvalSymlinks(python.Path)
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, executable, "-I", "-c", "import os,sysconfig;print(os.path.dirname(os.__file__));print(sysconfig.get_path('platstdlib'))").Output()
	if err != nil {
		return nil, err
	}
	stdlib := strings.Split(strings.TrimSpace(string(out)), "\n")[0]
	minor := python.Version[:strings.LastIndex(python.Version, ".")]

	file := filepath.Join(dir, "python.tar")
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(f)
	add := func(target, source string) error {
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(target, "/"), Mode: int64(info.Mode().Perm()), Size: int64(len(data)), ModTime: time.Unix(0, 0).UTC()}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "etc"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/local/bin/python3", Linkname: "python" + minor, Mode: 0o777}),
		add("/usr/local/bin/python"+minor, executable)); err != nil {
		return nil, err
	}
	loaded := []string{executable}
	err = filepath.WalkDir(stdlib, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		skipped := []string{"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo", "pydoc_data"}
		if d.IsDir() && (slices.Contains(skipped, d.Name()) || strings.HasPrefix(d.Name(), "config-")) {
			return filepath.SkipDir
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return nil // a link that leads nowhere, or a folder's
		}
		if strings.HasSuffix(name, ".so") {
			loaded = append(loaded, name)
		}
		rel, err := filepath.Rel(stdlib, name)
		if err != nil {
			return err
		}
		return add("/usr/local/lib/python"+minor+"/"+filepath.ToSlash(rel), name)
	})
	if err != nil {
		return nil, err
	}
	text, err := exec.CommandContext(ctx, "ldd", loaded...).Output()
	if len(text) == 0 {
		return nil, err // it also fails for one file of many
	}
	seen := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)(?:=> )?(/\S+) \(0x`).FindAllStringSubmatch(string(text), -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			if err := add(m[1], m[1]); err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	layer := static.NewLayer(data, types.OCIUncompressedLayer) // packing it would take the race detector a minute
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "FROM_BASE=yes"}, User: "root", Cmd: []string{"python3"}},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layer)
}

package oci

import (
	"archive/tar"
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"runtime/debug"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/chiron-faas/chiron/bundle"
)

// ProgramOptions of BuildProgram. Name and Files are needed.
type ProgramOptions struct {
	// Name of the program, and of its image.
	Name string
	// Description in one line, a label.
	Description string
	// Files of the program, statically linked, one for each architecture.
	Files []string
	// CacheDir as Options has it.
	CacheDir string
}

// ProgramPath is where a program's image has it.
func ProgramPath(name string) string { return path.Join("/", name) }

// BuildProgram makes the image of one program of Go's: the program, which is started
// without arguments as user 65532, and nothing else, not even a folder for temporary
// files. As Build it pushes and writes nothing but the cache, and makes the same bytes
// of the same files.
func BuildProgram(ctx context.Context, o ProgramOptions) (Image, error) {
	img := Image{Program: o.Name}
	if o.Name == "" || len(o.Files) == 0 {
		return img, errors.New("build a program's image: Options.Name and Files are needed")
	}
	cache, err := bundle.CacheFolder(o.CacheDir)
	if err != nil {
		return img, fmt.Errorf("build a program's image: %w", err)
	}
	s, err := openStore(filepath.Join(cache, "images"))
	if err != nil {
		return img, err
	}
	files := make(map[string]string)
	for _, file := range o.Files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return img, fmt.Errorf("%s is no program made by Go: %w", file, err)
		}
		arch, err := staticArch(file, file, info)
		if err != nil {
			return img, err
		}
		if other, ok := files[arch]; ok {
			return img, fmt.Errorf("%s and %s are both for linux/%s: give one", other, file, arch)
		}
		files[arch] = file
		made, err := o.assemble(ctx, s, file, arch, info)
		if err != nil {
			return img, fmt.Errorf("%s for linux/%s: %w", img.what(), arch, err)
		}
		img.manifests = append(img.manifests, made)
		img.Platforms = append(img.Platforms, "linux/"+arch)
	}
	if err := img.finish(); err != nil {
		return img, fmt.Errorf("%s: %w", img.what(), err)
	}
	return img, nil
}

func (o *ProgramOptions) assemble(ctx context.Context, s *store, file, arch string, info *debug.BuildInfo) (v1.Image, error) {
	sum, err := sumOf(file)
	if err != nil {
		return nil, err
	}
	own, err := s.pack(ctx, keyOf(layerForm, "program", o.Name, sum), func(w io.Writer) error {
		p := &packer{w: tar.NewWriter(w)}
		if err := p.file(ProgramPath(o.Name), file, 0o755, epoch); err != nil {
			return err
		}
		return p.w.Close()
	})
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":   o.Name,
		"org.opencontainers.image.version": cmp.Or(info.Main.Version, "(devel)"),
	}
	if o.Description != "" {
		labels["org.opencontainers.image.description"] = o.Description
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			labels["org.opencontainers.image.revision"] = setting.Value
		}
	}
	start := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	result, err := mutate.ConfigFile(start, &v1.ConfigFile{
		Architecture: arch, OS: "linux", Created: v1.Time{Time: epoch}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{ProgramPath(o.Name)}, User: User, WorkingDir: "/", StopSignal: "SIGTERM", Labels: labels},
	})
	if err != nil {
		return nil, err
	}
	result, err = mutate.Append(result, mutate.Addendum{
		Layer: own, MediaType: types.OCILayer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "programimage", Comment: o.Name},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(result, labels).(v1.Image), nil
}

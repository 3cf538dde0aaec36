package oci

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bundle"
)

// Where things are in an image.
const (
	// AgentPath is the agent's file.
	AgentPath = "/opt/chiron/bin/chiron-agent"
	// BundlePath is the bundle's folder.
	BundlePath = "/opt/chiron/bundle"
	// siteFolder of a bundle holds the installed requirements.
	siteFolder = "site"
)

// layerForm changes where the same input is to be packed to other bytes.
const layerForm = "chiron layer 1"

// epoch is the time of folders, of the agent's file and of the image.
var epoch = time.Unix(0, 0).UTC()

// agentLayer holds the agent alone: the same in all images of an architecture.
func (b *builder) agentLayer(ctx context.Context, a *agent) (*layer, error) {
	sum, err := sumOf(a.file)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return b.store.pack(ctx, keyOf(layerForm, "agent", sum), func(w io.Writer) error {
		p := &packer{w: tar.NewWriter(w)}
		if err := p.file(AgentPath, a.file, 0o755, epoch); err != nil {
			return err
		}
		return p.w.Close()
	})
}

// bundleLayer holds those files of a bundle that want says; nil where there are
// none.
func (b *builder) bundleLayer(ctx context.Context, made bundle.Bundle, want func(name string) bool) (*layer, error) {
	var names []string
	err := filepath.WalkDir(made.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(made.Dir, name)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); want(rel) {
			names = append(names, rel)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		return nil, err
	}
	slices.Sort(names)
	key := []string{layerForm, "bundle"}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(made.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		sum, err := sumOf(filepath.Join(made.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		key = append(key, name, strconv.FormatUint(uint64(info.Mode().Perm()), 8), sum)
	}
	return b.store.pack(ctx, keyOf(key...), func(w io.Writer) error {
		p := &packer{w: tar.NewWriter(w)}
		for _, name := range names {
			source := filepath.Join(made.Dir, filepath.FromSlash(name))
			info, err := os.Stat(source)
			if err != nil {
				return err
			}
			if err := p.file(path.Join(BundlePath, name), source, info.Mode().Perm(), info.ModTime()); err != nil {
				return err
			}
		}
		return p.w.Close()
	})
}

// inSite says that a bundle's file belongs to the requirements.
func inSite(name string) bool { return strings.HasPrefix(name, siteFolder+"/") }

// packer writes files to a tar, with the folders above them, which all belong to
// root.
type packer struct {
	w       *tar.Writer
	folders map[string]bool
}

func (p *packer) file(target, source string, mode fs.FileMode, when time.Time) error {
	if err := p.above(target); err != nil {
		return err
	}
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	err = p.w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(target, "/"), Size: info.Size(),
		Mode: int64(mode.Perm()), ModTime: when.UTC().Truncate(time.Second), Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	if _, err := io.CopyN(p.w, in, info.Size()); err != nil {
		return fmt.Errorf("pack %s: %w", source, err)
	}
	return nil
}

func (p *packer) above(target string) error {
	dir := path.Dir(target)
	if dir == "/" || p.folders[dir] {
		return nil
	}
	if err := p.above(dir); err != nil {
		return err
	}
	if p.folders == nil {
		p.folders = make(map[string]bool)
	}
	p.folders[dir] = true
	return p.w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, ModTime: epoch, Format: tar.FormatPAX,
	})
}

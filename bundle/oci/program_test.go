package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

func programImage(t *testing.T, cache string) Image {
	t.Helper()
	img, err := BuildProgram(t.Context(), ProgramOptions{Name: "tool", Description: "Does nothing.", Files: agents(t), CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestProgram: a program's image holds the program alone, for each architecture,
// belongs to root and runs as somebody else.
func TestProgram(t *testing.T) {
	img := programImage(t, t.TempDir())
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, img.Platforms); diff != "" {
		t.Error(diff)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		config, err := img.manifests[i].ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := config.Config
		if config.OS != "linux" || config.Architecture != arch || c.User != User || c.StopSignal != "SIGTERM" || !config.Created.Equal(epoch) {
			t.Errorf("configuration %+v", config)
		}
		if diff := cmp.Diff([]string{"/tool"}, c.Entrypoint); diff != "" || c.Cmd != nil || c.Env != nil {
			t.Error(diff, c.Cmd, c.Env)
		}
		if c.Labels["org.opencontainers.image.title"] != "tool" || c.Labels["org.opencontainers.image.description"] != "Does nothing." {
			t.Errorf("labels %v", c.Labels)
		}
		files := contents(t, img.manifests[i])
		if h := files["/tool"]; len(files) != 1 || h == nil || h.Mode != 0o755 || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("files %v", files)
		}
	}
	if again := programImage(t, t.TempDir()); again.Digest != img.Digest {
		t.Errorf("the same files give %s, then %s", img.Digest, again.Digest)
	}
}

// TestProgramNames: a program's image is called by the program's name alone, in a file
// and in a registry.
func TestProgramNames(t *testing.T) {
	img := programImage(t, t.TempDir())
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), []Image{img}, dir, Naming{Tag: "v1"}); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0].Annotations; got[refName] != "tool:v1" || got[containerdName] != "docker.io/library/tool:v1" {
		t.Errorf("annotations %v", got)
	}
	host := ocitest.Registry(t, nil)
	references, err := Push(t.Context(), []Image{img}, PushOptions{Naming: Naming{Prefix: host + "/team"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v1.NewHash(img.Digest); err != nil || references[0] != host+"/team/tool@"+img.Digest {
		t.Errorf("references %v, %v", references, err)
	}
}

// TestNoProgram: what does not run on an empty base is refused.
func TestNoProgram(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	one := agents(t)[0]
	for _, c := range []struct {
		files []string
		want  string
	}{
		{nil, "are needed"},
		{[]string{script}, "no program made by Go"},
		{[]string{one, one}, "are both for linux/amd64"},
		{[]string{filepath.Join(t.TempDir(), "none")}, "no such file"},
	} {
		_, err := BuildProgram(t.Context(), ProgramOptions{Name: "tool", Files: c.files, CacheDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.files, err, c.want)
		}
	}
}

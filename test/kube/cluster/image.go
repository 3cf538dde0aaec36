package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Import gives the node the images of a file, as chiron build --output writes it.
func (c *Cluster) Import(ctx context.Context, images io.Reader) error {
	// Its client opens files of the node's, so it runs there.
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(c.Node.PID), "--mount", "--",
		"ctr", "--namespace", "k8s.io", "images", "import", "-")
	cmd.Env = []string{"PATH=" + path}
	cmd.Stdin = images
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cluster: import images: %w: %s", err, text)
	}
	return nil
}

// pause is an image with one static program.
func pause(program string) ([]byte, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.Base(program), Mode: 0o755, Size: int64(len(text))})
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: pack the pause image: %w", err)
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/" + filepath.Base(program)}, User: "65535:65535"},
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if img, err = mutate.AppendLayers(img, packed); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	tag, err := name.NewTag(pauseImage)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	var out bytes.Buffer
	if err := tarball.Write(tag, img, &out); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return out.Bytes(), nil
}

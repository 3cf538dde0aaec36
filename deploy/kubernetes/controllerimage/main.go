// Command controllerimage makes the image of chiron-controller: one static program on
// nothing. It needs no container engine, and the same program is the same bytes.
//
//	make controller-image                                             # bin/chiron-controller.tar
//	make controller-image PUSH=registry.example.org/team/chiron-controller:v1
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is where the program is in the image.
const entry = "/chiron-controller"

// user runs it: nobody's, as in wraps' images.
const user = "65532:65532"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program := flag.String("program", "bin/chiron-controller", "the program's `file`, which links no C library")
	tag := flag.String("name", "chiron-controller:dev", "the image's `name`")
	output := flag.String("output", "", "`file` to write it to, for docker, podman or containerd to load")
	push := flag.Bool("push", false, "push it to the registry that its name has")
	flag.Parse()
	if err := run(ctx, *program, *tag, *output, *push); err != nil {
		fmt.Fprintln(os.Stderr, "controllerimage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, tag, output string, push bool) error {
	named, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	if output == "" && !push {
		return errors.New("nothing to do: give -output FILE, or -push")
	}
	img, err := image(program)
	if err != nil {
		return err
	}
	if output != "" {
		if err := tarball.WriteToFile(output, named, img); err != nil {
			return fmt.Errorf("write %s: %w", output, err)
		}
		fmt.Println(output)
	}
	if !push {
		return nil
	}
	if err := remote.Write(named, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w", named, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	fmt.Println(named.Context().Digest(digest.String()))
	return nil
}

// image makes it of the program.
func image(program string) (v1.Image, error) {
	arch, err := architecture(program)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: entry[1:], Mode: 0o755, Size: int64(len(text))})
	if err == nil {
		_, err = w.Write(text)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pack %s: %w", program, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		Architecture: arch, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{entry}, User: user, Labels: map[string]string{
			"org.opencontainers.image.title": "chiron-controller", "org.opencontainers.image.licenses": "Apache-2.0",
		}},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(mutate.ConfigMediaType(img, types.OCIConfigJSON), layer)
}

// architecture of a program, as images have it.
func architecture(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("read %s: %w: build it with make build", program, err)
	}
	defer func() { _ = f.Close() }()
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		return "", fmt.Errorf("%s needs %v, which the image has not: build it with CGO_ENABLED=0", program, libraries)
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("%s is for %v: amd64 and arm64 are known", program, f.Machine)
}

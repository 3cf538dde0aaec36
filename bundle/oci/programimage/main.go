// Command programimage makes an image of one program of Go's, on nothing: a file that
// container engines import, and where a registry is named what clusters pull.
//
//	go run ./bundle/oci/programimage -output bin/tool.tar -registry registry.example.org/team bin/tool
//
// Its arguments are the program's files, one for each architecture; the image has the
// first one's name. It prints what the image is called. make controller-image runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/chiron-faas/chiron/bundle/oci"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, out, errs io.Writer, args []string) int {
	set := flag.NewFlagSet("programimage", flag.ContinueOnError)
	set.SetOutput(errs)
	o := oci.ProgramOptions{}
	var naming oci.Naming
	var tarball string
	set.StringVar(&tarball, "output", "", "write the image to this `file`: an OCI layout that docker load reads too")
	set.StringVar(&naming.Prefix, "registry", "", "push it to this registry and `path`, with the password of docker login")
	set.StringVar(&naming.Tag, "tag", oci.DefaultTag, "`tag` of its name")
	set.StringVar(&o.Name, "name", "", "`name` of the program in it; default: that of the first file")
	set.StringVar(&o.Description, "description", "", "one line about it, a `text`")
	set.StringVar(&o.CacheDir, "cache", "", "`folder` that keeps layers; default: chiron in the user's cache folder")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if o.Files = set.Args(); len(o.Files) == 0 || tarball == "" && naming.Prefix == "" {
		_, _ = fmt.Fprintln(errs, "programimage: give a program's files, and -output or -registry")
		return 2
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.Files[0])
	}
	names, err := build(ctx, o, naming, tarball)
	for _, name := range names {
		_, _ = fmt.Fprintln(out, name)
	}
	if err != nil {
		_, _ = fmt.Fprintf(errs, "programimage: %v\n", err)
		return 1
	}
	return 0
}

// build makes the image, and says by which names it is found.
func build(ctx context.Context, o oci.ProgramOptions, naming oci.Naming, tarball string) (names []string, err error) {
	img, err := oci.BuildProgram(ctx, o)
	if err != nil {
		return nil, err
	}
	images := []oci.Image{img}
	if tarball != "" {
		if err := oci.WriteTarball(ctx, images, tarball, naming); err != nil {
			return nil, err
		}
		names = append(names, naming.Name(&img))
	}
	if naming.Prefix != "" {
		references, err := oci.Push(ctx, images, oci.PushOptions{Naming: naming})
		if err != nil {
			return names, err
		}
		names = append(names, references...)
	}
	return names, nil
}

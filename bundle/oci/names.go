package oci

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// DefaultTag of an image that is pushed or written.
const DefaultTag = "latest"

// Naming says what images are called: PREFIX/WORKFLOW-WRAP:TAG, or PREFIX/PROGRAM:TAG.
type Naming struct {
	// Prefix is a registry and a path in it ("registry.example.org/team"); empty:
	// the name is the image's alone.
	Prefix string
	// Tag; empty: DefaultTag.
	Tag string
}

// Name of an image. A tag can be moved to another image, a digest cannot:
// deployments name images by Reference.
func (n Naming) Name(img *Image) string {
	tag := n.Tag
	if tag == "" {
		tag = DefaultTag
	}
	return n.repository(img) + ":" + tag
}

// Reference of an image by its digest: "registry.example.org/team/hello-wrap-1@sha256:…".
func (n Naming) Reference(img *Image) string { return n.repository(img) + "@" + img.Digest }

func (n Naming) repository(img *Image) string {
	repository := img.called()
	if prefix := strings.TrimSuffix(n.Prefix, "/"); prefix != "" {
		repository = prefix + "/" + repository
	}
	return repository
}

// called is an image's own name.
func (img *Image) called() string {
	if img.Program != "" {
		return img.Program
	}
	return img.Workflow + "-" + img.Wrap
}

// what an image is in messages.
func (img *Image) what() string {
	if img.Program != "" {
		return "image of " + img.Program
	}
	return fmt.Sprintf("image of wrap %q", img.Wrap)
}

// tagForm is that of OCI's distribution specification.
var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// Check says whether images can be named so.
func (n Naming) Check() error {
	// Not parsed, since the parser's words would hold the password.
	if strings.Contains(n.Prefix, "@") {
		return errors.New("a registry's name holds neither a password nor a digest: write for example registry.example.org/team, and log in with docker login")
	}
	if scheme, _, ok := strings.Cut(n.Prefix, "://"); ok {
		return fmt.Errorf("registry %q: leave out the %q", n.Prefix, scheme+"://")
	}
	// A tag with a slash would be read as a part of the path.
	if n.Tag != "" && !tagForm.MatchString(n.Tag) {
		return fmt.Errorf("images cannot be named so: tag %q: use letters, digits, '_', '.' and '-', at most 128", n.Tag)
	}
	if _, err := n.parse(&Image{Workflow: "workflow", Wrap: "wrap-1"}); err != nil {
		return fmt.Errorf("images cannot be named so: %w", err)
	}
	return nil
}

func (n Naming) parse(img *Image) (name.Tag, error) {
	return name.NewTag(n.Name(img), name.WeakValidation)
}

// spelled is a name as docker and containerd spell it; the library that parses
// them has another for Docker's registry.
func spelled(full string) string {
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return full
}

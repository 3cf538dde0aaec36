package oci

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// DefaultTag of an image that is pushed or written.
const DefaultTag = "latest"

// Naming says what images are called: PREFIX/WORKFLOW-WRAP:TAG.
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
	repository := img.Workflow + "-" + img.Wrap
	if prefix := strings.TrimSuffix(n.Prefix, "/"); prefix != "" {
		repository = prefix + "/" + repository
	}
	return repository
}

// Check says whether images can be named so.
func (n Naming) Check() error {
	// Not parsed, since the parser's words would hold the password.
	if strings.Contains(n.Prefix, "@") {
		return fmt.Errorf("a registry's name holds neither a password nor a digest: write for example registry.example.org/team, and log in with docker login")
	}
	if strings.Contains(n.Prefix, "://") {
		return fmt.Errorf("registry %q: leave out the %q", n.Prefix, n.Prefix[:strings.Index(n.Prefix, "://")+3])
	}
	if _, err := n.parse(&Image{Workflow: "workflow", Wrap: "wrap-1"}); err != nil {
		return fmt.Errorf("images cannot be named so: %w", err)
	}
	return nil
}

func (n Naming) parse(img *Image) (name.Tag, error) {
	return name.NewTag(n.Name(img), name.WeakValidation)
}

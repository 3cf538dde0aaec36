package oci

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// PushOptions of Push. Naming.Prefix is needed: it says which registry.
type PushOptions struct {
	Naming Naming
	// Keychain has the registry's password; nil: docker login's.
	Keychain authn.Keychain
	// Progress, when set, is told each image as its push begins.
	Progress func(image *Image, name string)
}

// Push brings images to a registry, the layers first, so that a name leads to a
// whole image at all times. Layers that are there already are not sent again. It
// returns the images' references by digest, in their order.
//
// Errors: *RegistryError, or one line that says what is wrong with the name.
func Push(ctx context.Context, images []Image, o PushOptions) ([]string, error) {
	if o.Naming.Prefix == "" {
		return nil, errors.New("push images: no registry is named: write for example registry.example.org/team")
	}
	if err := o.Naming.Check(); err != nil {
		return nil, fmt.Errorf("push images: %w", err)
	}
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	pusher, err := remote.NewPusher(remoteOptions(ctx, o.Keychain)...)
	if err != nil {
		return nil, fmt.Errorf("push images: %w", err)
	}
	var references []string
	for i := range images {
		img := &images[i]
		tag, err := o.Naming.parse(img)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", img.what(), err)
		}
		if o.Progress != nil {
			o.Progress(img, spelled(tag.Name()))
		}
		if err := pusher.Push(ctx, tag, img.pushed()); err != nil {
			return references, registryError(ctx, pushing, spelled(tag.Name()), tag.RegistryStr(), err)
		}
		references = append(references, o.Naming.Reference(img))
	}
	return references, nil
}

// pushed is what an image's name leads to.
func (img *Image) pushed() remote.Taggable {
	if img.index != nil {
		return img.index
	}
	return img.manifests[0]
}

func remoteOptions(ctx context.Context, keys authn.Keychain) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keys), remote.WithUserAgent("chiron")}
}

package oci

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// ErrNoImage says that what a name leads to is no image, or none for the platform
// that was asked for.
var ErrNoImage = errors.New("no image")

// Open finds an image in its registry by its reference, for a platform such as
// "linux/amd64"; of an index, the image for it. Keys have the registry's password;
// nil: docker login's. Layers are read when they are asked for, as long as ctx
// lives.
//
// Errors: ErrNoImage; *RegistryError.
func Open(ctx context.Context, reference, platform string, keys authn.Keychain) (v1.Image, error) {
	ref, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is no image's name such as registry.example.org/team/f:1", ErrNoImage, reference)
	}
	want, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	descriptor, err := remote.Get(ref, remoteOptions(ctx, keys)...)
	if err != nil {
		return nil, ReadError(ctx, reference, err)
	}
	s := &source{}
	switch {
	case descriptor.MediaType.IsIndex():
		index, err := descriptor.ImageIndex()
		if err != nil {
			return nil, ReadError(ctx, reference, err)
		}
		if err := s.ofIndex(index, same); err != nil {
			return nil, ReadError(ctx, reference, err)
		}
	case descriptor.MediaType.IsImage():
		img, err := descriptor.Image()
		if err != nil {
			return nil, ReadError(ctx, reference, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, ReadError(ctx, reference, err)
		}
		s.images = []sourceImage{{
			platform: plain(v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}),
			open:     func() (v1.Image, error) { return img, nil },
		}}
	default:
		return nil, fmt.Errorf("%w: %s is of type %s", ErrNoImage, reference, descriptor.MediaType)
	}
	var has []string
	for _, i := range s.images {
		if i.platform.OS == want.OS && i.platform.Architecture == want.Architecture && (want.Variant == "" || i.platform.Variant == want.Variant) {
			img, err := i.open()
			if err != nil {
				return nil, ReadError(ctx, reference, err)
			}
			return img, nil
		}
		has = append(has, i.platform.String())
	}
	if len(has) == 0 {
		return nil, fmt.Errorf("%w: %s holds none for Linux", ErrNoImage, reference)
	}
	return nil, fmt.Errorf("%w: %s is not there for %s, only for %s: build it for this platform too", ErrNoImage, reference, want, listed(has))
}

// ReadError explains why an image could not be read from its registry.
func ReadError(ctx context.Context, reference string, err error) error {
	ref, parsed := name.ParseReference(reference, name.WeakValidation)
	if parsed != nil {
		return err
	}
	return registryError(ctx, reading, spelled(ref.Name()), ref.Context().RegistryStr(), err)
}

package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/gateway/container"
	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// Annotations that say how an image is run.
const (
	// annotationReady is OpenFaaS' own: the path that is asked whether a replica
	// is ready.
	annotationReady = "com.openfaas.ready.http.path"
	// annotationNetwork "host" gives a container the machine's network.
	annotationNetwork = "com.chiron.network"
)

// inflightVariable bounds the requests that OpenFaaS' watchdog works on at once.
const inflightVariable = "max_inflight"

func isBundle(image string) bool { return strings.HasPrefix(image, bundlePrefix) }

// holdImage pulls an image; digest, where it is not empty, is the one that it has to
// be, and is here unless somebody took it away.
func (p *Provider) holdImage(ctx context.Context, image, digest string) (*content, error) {
	e := p.images
	if e == nil {
		return nil, errBadImage{fmt.Errorf("image %q: this gateway runs bundles (bundle:/PATH, the folder of one on its machine) only: %w", image, p.noImages)}
	}
	var i *container.Image
	if digest != "" {
		i = e.Held(digest)
	}
	if i == nil {
		if ref, err := name.ParseReference(image, name.WeakValidation); digest != "" && err == nil {
			image = ref.Context().Digest(digest).String()
		}
		var err error
		if i, err = e.Pull(ctx, image); err != nil {
			return nil, explained(err)
		}
	}
	return &content{digest: i.Digest, image: i, release: i.Release}, nil
}

// explained tells the fault of who named an image from the registry's.
func explained(err error) error {
	var bad *container.BadImageError
	var registry *oci.RegistryError
	if errors.As(err, &bad) {
		return errBadImage{err}
	}
	if errors.As(err, &registry) {
		switch registry.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
			return errBadImage{err}
		}
	}
	return err
}

// leadsTo says whether an image's name leads to a digest now. Where the registry
// cannot be asked, it is pulled, which says why.
func (p *Provider) leadsTo(ctx context.Context, image, digest string) bool {
	if p.images == nil {
		return false
	}
	now, err := p.images.Digest(ctx, image)
	return err == nil && now == digest
}

// runImage starts a version that is an image.
func (p *Provider) runImage(ctx context.Context, v *version, name string, spec openfaas.Deployment, generation int) error {
	f := container.Function{
		Name: name, Generation: generation, Image: v.content.image, ReadOnly: spec.ReadOnlyRoot,
		ReadyPath: orNone(spec.Annotations)[annotationReady],
		Logs:      filepath.Join(p.options.Dir, "functions", name, "logs-"+strconv.Itoa(generation%2)),
	}
	var err error
	if f.Env, err = environment(spec); err != nil {
		return err
	}
	if spec.EnvProcess != "" {
		f.Env = append(f.Env, "fprocess="+spec.EnvProcess) // what the watchdogs read
	}
	if len(spec.Secrets) > 0 {
		f.Secrets = v.secrets
		f.Env = append(f.Env, secretsVariable+"="+container.SecretsDir) // as a bundle is told
	}
	if f.ReadyPath != "" && !strings.HasPrefix(f.ReadyPath, "/") {
		return errBadImage{fmt.Errorf("annotation %s: %q is no path: begin it with /", annotationReady, f.ReadyPath)}
	}
	switch network := orNone(spec.Annotations)[annotationNetwork]; network {
	case "", "none":
	case "host":
		f.HostNetwork = true
	default:
		return errBadImage{fmt.Errorf("annotation %s: %q is neither none nor host", annotationNetwork, network)}
	}
	v.inside = fleet.DefaultLimit
	if text := spec.EnvVars[inflightVariable]; text != "" {
		if v.inside, err = strconv.Atoi(text); err != nil || v.inside < 0 {
			return errBadImage{fmt.Errorf("envVars: %s %q is no number", inflightVariable, text)}
		}
		if v.inside == 0 { // the watchdog's word for no bound
			v.inside = fleet.DefaultLimit
		}
	}
	if spec.Limits != nil {
		if f.Memory, err = memoryOf(spec.Limits.Memory); err == nil {
			f.CPUs, err = cpusOf(spec.Limits.CPU)
		}
		if err != nil {
			return errBadImage{fmt.Errorf("limits: %w", err)}
		}
	}
	up, err := p.images.Up(ctx, f)
	if err != nil {
		return err
	}
	v.running, v.logs = up, up.Logs
	return nil
}

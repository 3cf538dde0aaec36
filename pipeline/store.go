package pipeline

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/chiron-faas/chiron/internal/objectstore"
	"github.com/chiron-faas/chiron/workflow"
)

// ServeStore serves the small object store that the project asks for
// (workflow.Project.ObjectStore) until the returned function is called. Where
// another chiron serves one at that address, that one is used.
func ServeStore(ctx context.Context, p *workflow.Project, progress Progress) (end func() error, err error) {
	nothing := func() error { return nil }
	if p.ObjectStore == "" {
		return nothing, nil
	}
	store, err := objectstore.Listen(ctx, p.ObjectStore)
	if errors.Is(err, syscall.EADDRINUSE) {
		if other := objectstore.Probe(ctx, p.ObjectStore); other != nil {
			return nil, fmt.Errorf("serve the object store that the project asks for: %w: end that, or name another port in chiron.yaml (objectStore, and the functions' env)", other)
		}
		progress.tell(Note{Step: "store", Text: "another chiron serves one at " + p.ObjectStore + ": used", Passing: true})
		return nothing, nil
	}
	if err != nil {
		return nil, fmt.Errorf("serve the object store that the project asks for: %w", err)
	}
	return store.Close, nil
}

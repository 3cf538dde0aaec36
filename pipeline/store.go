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
// (workflow.Project.ObjectStore) until the returned function is called. Where the
// address is in use, it is taken for the store of another chiron, and used.
func ServeStore(ctx context.Context, p *workflow.Project, progress Progress) (end func() error, err error) {
	nothing := func() error { return nil }
	if p.ObjectStore == "" {
		return nothing, nil
	}
	store, err := objectstore.Listen(ctx, p.ObjectStore)
	if errors.Is(err, syscall.EADDRINUSE) {
		progress.tell(Note{Step: "store", Text: p.ObjectStore + " is in use already: taken for an object store", Passing: true})
		return nothing, nil
	}
	if err != nil {
		return nil, fmt.Errorf("serve the object store that the project asks for: %w", err)
	}
	return store.Close, nil
}

package systems

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/workflows"
)

// Paper writes workflows of the paper (bench/workflows), by their names, into
// folders below dir, for stores at the ports. Their answers are checked function by
// function, and their stores are looked at before anything is measured.
func Paper(names []string, dir string, ports services.Ports) ([]Subject, error) {
	var all []Subject
	for _, name := range names {
		if !slices.Contains(workflows.List(), name) {
			return nil, fmt.Errorf("%w: there is no workflow %q: choose from %s", ErrUse, name, strings.Join(workflows.List(), ", "))
		}
		project, err := workflows.Write(name, filepath.Join(dir, name), ports)
		if err != nil {
			return nil, err
		}
		checker, err := workflows.NewChecker(name)
		if err != nil {
			return nil, err
		}
		s := Subject{Project: project, Check: checker.Check}
		if workflows.NeedsServices(name) {
			s.Ready = func(ctx context.Context) error { return services.Ready(ctx, ports) }
		}
		all = append(all, s)
	}
	return all, nil
}

// PaperNames are all of these workflows; those of the targets where the run is to
// be quick.
func PaperNames(quick bool) []string {
	if quick {
		return compared()
	}
	return workflows.List()
}

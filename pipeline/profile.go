package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/profiler"
	"github.com/chiron-faas/chiron/workflow"
)

// ProfileOptions of Profile.
type ProfileOptions struct {
	Project *workflow.Project
	// Runs, Budget and Tracer as profiler.Options has them.
	Runs   int
	Budget time.Duration
	Tracer string
	// Reuse keeps the profile.json that is there, where it was measured on this
	// machine from the very functions, definition and input of now.
	Reuse    bool
	Progress Progress
}

// Profile measures the project's functions, or reuses the profile that is there,
// and leaves it in the project's profile.json. reused says which.
func Profile(ctx context.Context, o ProfileOptions) (measured *profile.Profile, reused bool, err error) {
	files := FilesOf(o.Project)
	digest, err := digestInputs(ctx, o.Project)
	if err != nil {
		return nil, false, fmt.Errorf("profile: %w", err)
	}
	if o.Reuse {
		p, why := fresh(files, digest, o)
		if p != nil {
			o.Progress.tell(Note{Step: "profile", Text: "profile.json is up to date"})
			return p, true, nil
		}
		o.Progress.tell(Note{Step: "profile", Text: "measuring the functions: " + why})
	}
	if err := makeDir(files.Dir); err != nil {
		return nil, false, err
	}
	sites, err := bundle.Sites(ctx, bundle.Options{
		Project: o.Project, OutDir: files.ProfileSites,
		Progress: func(s bundle.Step) {
			o.Progress.tell(Note{Step: "profile", Text: s.What, Done: s.Index - 1, Total: s.Of, Passing: true})
		},
	})
	if err != nil {
		return nil, false, err
	}
	endStore, err := ServeStore(ctx, o.Project, o.Progress)
	if err != nil {
		return nil, false, err
	}
	measured, err = profiler.Run(ctx, profiler.Options{
		Project: o.Project, Runs: o.Runs, Budget: o.Budget, Tracer: o.Tracer, Sites: sites,
		Progress: func(p profiler.Progress) { o.Progress.tell(profileNote(p)) },
	})
	if err = errors.Join(err, endStore()); err != nil {
		return nil, false, err
	}
	if err := profile.Write(files.Profile, measured); err != nil {
		return nil, false, err
	}
	if err := remember(files, digest.inputs, o); err != nil {
		return nil, false, fmt.Errorf("profile: %w", err)
	}
	return measured, false, nil
}

func profileNote(p profiler.Progress) Note {
	n := Note{Step: "profile", Done: p.Done, Total: p.Total, Passing: true}
	switch p.Phase {
	case profiler.PhaseStart:
		n.Text = p.Function + ": starting its host"
	case profiler.PhaseCold:
		n.Text = p.Function + ": first call"
	case profiler.PhaseRuns:
		n.Text = fmt.Sprintf("%s: run %d", p.Function, p.Runs)
		if p.Runs > 1 {
			n.Text += fmt.Sprintf(", mean known within %.1f %%", 100*p.MeanError)
		}
	case profiler.PhaseTraced:
		n.Text = fmt.Sprintf("%s: traced run %d", p.Function, p.Runs)
	case profiler.PhaseShared:
		n.Text, n.Passing = p.Task+": as measured before", true
	case profiler.PhaseDone:
		n.Text, n.Passing = p.Function+": measured", false
	}
	if p.Message != "" {
		n.Text, n.Passing = p.Function+": "+p.Message, false
	}
	return n
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for what chiron keeps of a project: %w", err)
	}
	// The folder keeps itself out of version control.
	ignore := filepath.Join(dir, ".gitignore")
	if _, err := os.Stat(ignore); err == nil {
		return nil
	}
	return os.WriteFile(ignore, []byte("*\n"), 0o644)
}

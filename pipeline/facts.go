package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/chiron-faas/chiron/internal/strictjson"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Facts are what a project's plan is made of besides the project, for who plans
// elsewhere: the texts of the files.
type Facts struct {
	Profile, Calibration []byte
}

// GatherFacts reads a project's profile.json, and measures where there is none that
// fits, or where Fresh, Runs or Tracer ask for it.
//
// What is there is taken, from wherever: it is the nodes that the plan is for, not
// this machine. So a Calibration that is named is read, never made; without one it is
// this machine's, or none where calibrated is false.
func GatherFacts(ctx context.Context, o PrepareOptions, calibrated bool) (*Facts, error) {
	f := &Facts{}
	var err error
	if calibrated && o.Calibration != "" { // what can be wrong is looked at before what takes long
		if f.Calibration, err = calibrationText(o.Calibration); err != nil {
			return nil, err
		}
	}
	if f.Profile, err = profileText(ctx, o); err != nil {
		return nil, err
	}
	if f.Calibration != nil || !calibrated {
		return f, nil
	}
	lang, runtime := MainRuntime(o.Project)
	made, err := Calibrate(ctx, CalibrateOptions{Agent: o.Agent, Lang: lang, Runtime: runtime, Reuse: true, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	f.Calibration, err = calibrationText(made.File)
	return f, err
}

// maxCalibration bounds the calibration that is read, bytes.
const maxCalibration = 64 << 10

func calibrationText(file string) ([]byte, error) {
	text, err := strictjson.ReadFile(file, maxCalibration)
	if err == nil {
		if _, err = predict.DecodeCalibration(text); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("calibration: %w: name a file that chiron calibrate wrote", err)
	}
	return text, nil
}

// profileText is the text of a profile.json on which plans of the project can be
// made.
func profileText(ctx context.Context, o PrepareOptions) ([]byte, error) {
	file := FilesOf(o.Project).Profile
	kept, why := keptProfile(o.Project)
	if o.Fresh || o.Runs != 0 || o.Tracer != "" {
		kept = nil
	} else if kept != nil {
		stale(ctx, kept, o)
	} else {
		o.Progress.tell(Note{Step: "profile", Text: "measuring the functions: " + why})
	}
	if kept == nil {
		var err error
		kept, _, err = Profile(ctx, ProfileOptions{Project: o.Project, Runs: o.Runs, Tracer: o.Tracer, Progress: o.Progress})
		if err != nil {
			return nil, err
		}
	}
	if err := plan.Feasible(o.Project.Definition, o.Project.Functions, kept, &o.Project.Rules); err != nil {
		return nil, fmt.Errorf("no plan can be: %w", err)
	}
	return strictjson.ReadFile(file, maxProfile)
}

// keptProfile reads the project's profile.json; nil and why where it does not fit.
func keptProfile(p *workflow.Project) (*profile.Profile, string) {
	file := FilesOf(p).Profile
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, "there is none yet"
	}
	kept, err := profile.Read(file)
	if err == nil {
		for _, t := range p.Definition.Tasks() {
			if _, ok := kept.Task(t.Name); !ok {
				return nil, fmt.Sprintf("profile.json does not fit: it has no task %q", t.Name)
			}
		}
		return kept, ""
	}
	return nil, "profile.json does not fit: " + strings.ReplaceAll(err.Error(), "\n", "; ")
}

// stale tells where a profile that is taken is not of what the project is now, as far
// as this machine can say.
func stale(ctx context.Context, kept *profile.Profile, o PrepareOptions) {
	if kept.Machine.Difference(profile.ThisMachine()) != "" {
		o.Progress.tell(Note{Step: "profile", Text: "profile.json is taken as it was measured, on another machine"})
		return
	}
	digest, err := digestInputs(ctx, o.Project)
	if err != nil {
		return // nothing is run here: the interpreter may be missing
	}
	if p, why := fresh(FilesOf(o.Project), digest, ProfileOptions{}); p == nil {
		o.Progress.tell(Note{Step: "profile", Text: "profile.json is taken as it is, with --fresh it is measured again: " + why})
	}
}

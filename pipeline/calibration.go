package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// CalibrateOptions of Calibrate.
type CalibrateOptions struct {
	// Agent is the file of chiron-agent, which runs the wraps that are measured.
	Agent string
	// Lang and Runtime as workflow.Function has them: the constants are an
	// interpreter's as much as a machine's.
	Lang, Runtime string
	// File that keeps the calibration; empty: one in the user's cache folder,
	// named after the machine and the interpreter.
	File string
	// Reuse takes the file's constants, where they are this machine's and this
	// interpreter's.
	Reuse bool
	// Runs and Force as calibrate.Options has them.
	Runs  int
	Force bool
	// Rough measures on where the machine is too busy, but does not keep what
	// comes of it; for who needs any constants rather than none.
	Rough    bool
	Progress Progress
	// Log takes what the measured wraps log; nil: dropped.
	Log *slog.Logger
}

// Calibrated is what Calibrate returns.
type Calibrated struct {
	Constants *predict.Calibration
	// File that holds them; empty where they are not kept.
	File string
	// Reused says that they were measured earlier.
	Reused bool
	// Report is how they were measured; nil where they are Reused.
	Report *calibrate.Report
}

// Calibrate measures this machine's constants, or reads those measured earlier.
func Calibrate(ctx context.Context, o CalibrateOptions) (*Calibrated, error) {
	interpreter, err := host.FindInterpreter(ctx, o.Lang, o.Runtime)
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	file := o.File
	if file == "" {
		if file, err = calibrationFile(profile.ThisMachine(), interpreter); err != nil {
			return nil, err
		}
	}
	if o.Reuse {
		c, why := keptCalibration(file, interpreter)
		if c != nil {
			return &Calibrated{Constants: c, File: file, Reused: true}, nil
		}
		o.Progress.tell(Note{Step: "calibrate", Text: "measuring this machine's constants: " + why})
	}
	how := calibrate.Options{
		Agent: o.Agent, Runtime: o.Runtime, Runs: o.Runs, Force: o.Force, SkipChecks: o.Rough, Log: o.Log,
		Progress: func(s calibrate.Step) {
			o.Progress.tell(Note{Step: "calibrate", Text: s.What, Done: s.Done, Total: s.Of, Passing: true})
		},
	}
	r, err := calibrate.Run(ctx, how)
	if o.Rough && errors.Is(err, calibrate.ErrNoisy) {
		o.Progress.tell(Note{Step: "calibrate", Text: "the machine is busy: its constants are rough this time, and not kept"})
		how.Force = true
		if r, err = calibrate.Run(ctx, how); err == nil {
			return &Calibrated{Constants: r.Calibration, Report: r}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("calibrate: make the folder that keeps the constants: %w", err)
	}
	if err := r.Calibration.Write(file); err != nil {
		return nil, err
	}
	return &Calibrated{Constants: r.Calibration, File: file, Report: r}, nil
}

// keptCalibration reads a calibration; nil and why where it does not hold here.
func keptCalibration(file string, interpreter host.Interpreter) (*predict.Calibration, string) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, "not done yet"
	}
	c, err := predict.ReadCalibration(file)
	if err != nil {
		return nil, err.Error()
	}
	if why := c.Machine.Difference(profile.ThisMachine()); why != "" {
		return nil, "those of " + file + " are from " + why
	}
	if minor(c.Version) != minor(interpreter.Version) {
		return nil, fmt.Sprintf("those of %s are Python %s's, not %s's", file, c.Version, interpreter.Version)
	}
	if len(c.Spread) == 0 {
		return nil, "those of " + file + " do not say how they vary"
	}
	return c, ""
}

// minor cuts a version to its feature release: "3.11.7" to "3.11".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// calibrationFile names the file that keeps the constants of a machine and an
// interpreter.
func calibrationFile(m profile.Machine, i host.Interpreter) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("calibrate: no folder to keep the constants in (%w): set HOME, or name a file with --calibration", err)
	}
	s := sha256.Sum256(fmt.Appendf(nil, "%q %d %q %q", m.CPUModel, m.CPUs, m.OS, m.Arch))
	name := fmt.Sprintf("calibration-%s-%s%s.json", hex.EncodeToString(s[:6]), i.Lang, minor(i.Version))
	return filepath.Join(cache, "chiron", name), nil
}

// MainRuntime is the language and the interpreter that most of a project's tasks
// run on, the first by name among equals.
func MainRuntime(p *workflow.Project) (lang, runtime string) {
	votes := make(map[[2]string]int)
	for _, t := range p.Definition.Tasks() {
		if f := p.Functions[t.Function]; f != nil {
			votes[[2]string{f.Lang, f.Runtime}]++
		}
	}
	best := [2]string{"python", ""}
	most := 0
	for _, asked := range slices.SortedFunc(maps.Keys(votes), func(a, b [2]string) int {
		return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1])
	}) {
		if votes[asked] > most {
			best, most = asked, votes[asked]
		}
	}
	return best[0], best[1]
}

package systems

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bench/journal"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// archive is everything that was measured: a run's journal.
type archive struct {
	setup       *setup
	calibration *predict.Calibration
	notes       []string
	workflows   []*measured // in the order of their first line
}

// setup is what must stay as it is while a run goes on.
type setup struct {
	Machine profile.Machine `json:"machine"`
	// Binary is the digest of the chiron that serves and its agent.
	Binary  string        `json:"binary"`
	Systems []string      `json:"systems"`
	Rounds  int           `json:"rounds"`
	Load    time.Duration `json:"load_ns"`
}

// measured is what was measured of a workflow.
type measured struct {
	name       string
	definition *workflow.Definition
	profile    *profile.Profile
	*prepared
	rounds *rounds
	alone  map[string]*alone // by system
}

// prepared is what comes before a workflow is measured.
type prepared struct {
	// Inputs is a digest of the project's files.
	Inputs     string          `json:"inputs"`
	Definition json.RawMessage `json:"definition"`
	Profile    json.RawMessage `json:"profile"`
	// Aim is what was searched for: Faastlane's mean of a few requests, or what was
	// predicted of it where that is less, and Slack, less the margin.
	Aim time.Duration `json:"slo_ns"`
	// Plans of the systems.
	Plans []made `json:"plans"`
}

// made is a system's plan, or why it has none.
type made struct {
	System string     `json:"system"`
	Plan   *plan.Plan `json:"plan,omitempty"`
	// Missed says that nothing was predicted to meet what was searched for: the plan
	// is the fastest.
	Missed bool `json:"missed,omitempty"`
	// Excluded says why the system cannot run the workflow.
	Excluded string `json:"excluded,omitempty"`
}

// rounds is what the systems did side by side.
type rounds struct {
	Begin   time.Time `json:"begin"`
	End     time.Time `json:"end"`
	Systems []timing  `json:"systems"`
	// Others is the part of the machine that other programs used meanwhile.
	Others float64 `json:"others"`
}

// timing is one system's.
type timing struct {
	System string `json:"system"`
	// Latencies of the timed requests, one a round, µs.
	Latencies []int64  `json:"latencies_us,omitempty"`
	Traced    []traced `json:"traced,omitempty"`
	// Loads of some connections, by turns with the other systems'.
	Loads []loaded `json:"loads,omitempty"`
	// Failure in one line, where it could not be measured.
	Failure string `json:"failure,omitempty"`
}

// alone is what one system held with the machine for itself.
type alone struct {
	System string `json:"system"`
	// Rest and Busy are the memory of all its wraps, bytes, proportional set size:
	// before requests, and the most that was seen during them.
	Rest int64 `json:"rest_bytes,omitempty"`
	Busy int64 `json:"busy_bytes,omitempty"`
	// Processes at rest.
	Processes int    `json:"processes,omitempty"`
	Failure   string `json:"failure,omitempty"`
}

// loaded is what came of some connections that send as fast as they are answered.
type loaded struct {
	Connections int     `json:"connections"`
	Rate        float64 `json:"requests_per_second"`
	P50         int64   `json:"p50_us"`
	P99         int64   `json:"p99_us"`
	// CPU time of all processes of the deployment but its gateway, for each request,
	// µs.
	CPU int64 `json:"cpu_us"`
}

// line is one of the journal. What it holds is what is not empty.
type line struct {
	At          time.Time            `json:"at"`
	Setup       *setup               `json:"setup,omitempty"`
	Calibration *predict.Calibration `json:"calibration,omitempty"`
	Note        string               `json:"note,omitempty"`
	Workflow    string               `json:"workflow,omitempty"`
	Prepared    *prepared            `json:"prepared,omitempty"`
	Rounds      *rounds              `json:"rounds,omitempty"`
	Alone       *alone               `json:"alone,omitempty"`
}

func (a *archive) read(data []byte) error {
	var l line
	if err := journal.Decode(data, &l); err != nil {
		return err
	}
	return a.take(&l)
}

// take adds a line to what is known.
func (a *archive) take(l *line) error {
	if l.Setup != nil {
		a.setup = l.Setup
	}
	if l.Calibration != nil {
		if err := l.Calibration.Check(); err != nil {
			return err
		}
		a.calibration = l.Calibration
	}
	if l.Note != "" {
		a.notes = append(a.notes, l.Note)
	}
	if l.Workflow == "" {
		return nil
	}
	w := a.workflow(l.Workflow)
	if p := l.Prepared; p != nil {
		var err error
		if w.definition, err = workflow.ParseDefinition(l.Workflow, p.Definition); err != nil {
			return err
		}
		if w.profile, err = profile.Decode(p.Profile); err != nil {
			return err
		}
		w.prepared = p
	}
	if l.Rounds != nil {
		w.rounds = l.Rounds
	}
	if l.Alone != nil {
		w.alone[l.Alone.System] = l.Alone
	}
	return nil
}

// workflow returns the one of a name, a new one where there is none.
func (a *archive) workflow(name string) *measured {
	for _, w := range a.workflows {
		if w.name == name {
			return w
		}
	}
	w := &measured{name: name, alone: make(map[string]*alone)}
	a.workflows = append(a.workflows, w)
	return w
}

// plan of a system; nil where it has none.
func (w *measured) plan(system string) *plan.Plan {
	if w.prepared == nil {
		return nil
	}
	for _, m := range w.Plans {
		if m.System == system {
			return m.Plan
		}
	}
	return nil
}

// recorder appends to a run's archive.
type recorder struct {
	*archive
	file *journal.Writer
}

// openArchive opens a run's folder to go on with it; what is not there is made.
func openArchive(dir string, s setup) (*recorder, error) {
	a := &archive{}
	file, err := journal.Open(dir, a.read)
	if err != nil {
		return nil, err
	}
	r := &recorder{archive: a, file: file}
	err = a.setup.goesOn(&s)
	if err == nil && a.setup == nil {
		err = r.write(&line{Setup: &s})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Join(dir, journal.File), err), file.Close())
	}
	return r, nil
}

// goesOn says why a run cannot go on as another.
func (s *setup) goesOn(now *setup) error {
	const elsewhere = "measure into another folder"
	if s == nil {
		return nil
	}
	if why := s.Machine.Difference(now.Machine); why != "" {
		return fmt.Errorf("it is from %s: %s", why, elsewhere)
	}
	if s.Binary != now.Binary {
		return fmt.Errorf("it was measured with another chiron (%.12s, this one is %.12s): %s", s.Binary, now.Binary, elsewhere)
	}
	if s.Rounds != now.Rounds || s.Load != now.Load || !slices.Equal(s.Systems, now.Systems) {
		return fmt.Errorf("it is of %d rounds, loads of %v and the systems %s: go on with those, or %s", s.Rounds, s.Load, strings.Join(s.Systems, ","), elsewhere)
	}
	return nil
}

// write appends a line, and takes it.
func (r *recorder) write(l *line) error {
	if l.At.IsZero() {
		l.At = time.Now().UTC()
	}
	if err := r.file.Write(l); err != nil {
		return err
	}
	return r.take(l)
}

// encoded is a profile as a line holds it.
func encoded(p *profile.Profile) (json.RawMessage, error) {
	var data bytes.Buffer
	err := p.Encode(&data)
	return data.Bytes(), err
}

// digest is the SHA-256 of files, one behind the other.
func digest(names ...string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

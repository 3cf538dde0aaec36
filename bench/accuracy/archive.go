package accuracy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bench/journal"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// archive is everything that was measured, in the order in which it was: a run's
// journal. Nothing in it is a prediction.
type archive struct {
	setup        *setup
	workflows    []*measuredWorkflow // in the order of their first line
	calibrations []*predict.Calibration
	calibrated   []time.Time // of calibrations
	notes        []string
}

// measuredWorkflow is what was measured of one.
type measuredWorkflow struct {
	name       string
	definition *workflow.Definition
	placements []*Placement
	notes      []string
	profiles   []measuredProfile
	solos      []*soloRuns             // by batch
	done       map[string]*measurement // by placement
}

type measuredProfile struct {
	at      time.Time
	tracer  string
	profile *profile.Profile
}

// setup is what must stay as it is while a run goes on.
type setup struct {
	Machine profile.Machine `json:"machine"`
	Seed    int64           `json:"seed"`
	Sample  int             `json:"sample"`
	Tracer  string          `json:"tracer"` // as asked for; empty: the best
}

// measurement is one placement's.
type measurement struct {
	Placement string    `json:"placement"`
	Begin     time.Time `json:"begin"`
	End       time.Time `json:"end"`
	// Latencies of the requests that count, one a round, ns.
	Latencies []time.Duration `json:"latencies_ns,omitempty"`
	// Traces are the spans of further requests (wrap.Span), which tell where a
	// prediction that misses does so.
	Traces []json.RawMessage `json:"traces,omitempty"`
	// Others is the part of the machine that other programs used meanwhile.
	Others float64 `json:"others"`
	// Failure in one line, where it could not be measured.
	Failure string `json:"failure,omitempty"`
}

// line is one of the file. What it holds is what is not empty.
type line struct {
	At          time.Time            `json:"at"`
	Workflow    string               `json:"workflow,omitempty"`
	Setup       *setup               `json:"setup,omitempty"`
	Calibration *predict.Calibration `json:"calibration,omitempty"`
	Note        string               `json:"note,omitempty"`
	Definition  json.RawMessage      `json:"definition,omitempty"`
	Placements  []*Placement         `json:"placements,omitempty"`
	Notes       []string             `json:"notes,omitempty"` // of the placements
	Tracer      string               `json:"tracer,omitempty"`
	Profile     json.RawMessage      `json:"profile,omitempty"`
	Solo        *soloRuns            `json:"solo,omitempty"`
	Measurement *measurement         `json:"measurement,omitempty"`
}

// readArchive reads a run's folder.
func readArchive(dir string) (*archive, error) {
	a := &archive{}
	_, err := journal.Read(dir, a.read)
	return a, err
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
		a.calibrations = append(a.calibrations, l.Calibration)
		a.calibrated = append(a.calibrated, l.At)
	}
	if l.Note != "" {
		a.notes = append(a.notes, l.Note)
	}
	if l.Workflow == "" {
		return nil
	}
	w := a.workflow(l.Workflow)
	if l.Definition != nil {
		d, err := workflow.ParseDefinition(l.Workflow, l.Definition)
		if err != nil {
			return err
		}
		w.definition, w.placements, w.notes = d, l.Placements, l.Notes
	}
	if l.Profile != nil {
		p, err := profile.Decode(l.Profile)
		if err != nil {
			return err
		}
		w.profiles = append(w.profiles, measuredProfile{at: l.At, tracer: l.Tracer, profile: p})
	}
	if l.Solo != nil {
		w.solos = append(w.solos, l.Solo)
	}
	if m := l.Measurement; m != nil {
		w.done[m.Placement] = m
	}
	return nil
}

// workflow returns the one of a name, a new one where there is none.
func (a *archive) workflow(name string) *measuredWorkflow {
	for _, w := range a.workflows {
		if w.name == name {
			return w
		}
	}
	w := &measuredWorkflow{name: name, done: make(map[string]*measurement)}
	a.workflows = append(a.workflows, w)
	return w
}

// recorder appends to a run's archive.
type recorder struct {
	*archive
	file *journal.Writer
}

// openArchive opens a run's folder, making what is not there, to go on with it.
func openArchive(dir string, s setup) (*recorder, error) {
	a := &archive{}
	file, err := journal.Open(dir, a.read)
	if err != nil {
		return nil, err
	}
	r := &recorder{archive: a, file: file}
	if err := r.begin(dir, s); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// begin writes down what the run is, or checks that it is that.
func (r *recorder) begin(dir string, s setup) error {
	was := r.setup
	if was == nil {
		return r.write(&line{Setup: &s})
	}
	name := filepath.Join(dir, journal.File)
	if why := was.Machine.Difference(s.Machine); why != "" {
		return fmt.Errorf("%s is from %s: measure into another folder", name, why)
	}
	if was.Seed != s.Seed || was.Sample != s.Sample || was.Tracer != s.Tracer {
		return fmt.Errorf("%s is of seed %d, %d placements a workflow and tracer %q: go on with those, or measure into another folder", name, was.Seed, was.Sample, was.Tracer)
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

func (r *recorder) writeProfile(name, tracer string, p *profile.Profile) error {
	var data bytes.Buffer
	if err := p.Encode(&data); err != nil {
		return err
	}
	return r.write(&line{Workflow: name, Tracer: tracer, Profile: data.Bytes()})
}

package accuracy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// archiveFile is the name of what is measured, in the run's folder: a JSON
// object a line, appended as they come. Nothing in it is a prediction.
const archiveFile = "measured.jsonl"

// archive is everything that was measured, in the order in which it was.
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

// maxLine bounds a line, bytes: the placements of a run, some kB each.
const maxLine = 256 << 20

// readArchive reads a run's folder. Where the last line was cut short, because
// the program was killed while it wrote, that line is left out; complete is
// where what was read ends.
func readArchive(dir string) (a *archive, complete int64, err error) {
	name := filepath.Join(dir, archiveFile)
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	a = &archive{}
	r := bufio.NewReaderSize(io.LimitReader(f, 1<<34), 1<<20)
	for number := 1; ; number++ {
		data, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return a, complete, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
		if len(data) > maxLine {
			return nil, 0, fmt.Errorf("%s: line %d has more than %d MB", name, number, maxLine>>20)
		}
		if err := a.read(data); err != nil {
			return nil, 0, fmt.Errorf("%s: line %d: %w", name, number, err)
		}
		complete += int64(len(data))
	}
}

func (a *archive) read(data []byte) error {
	var l line
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its object")
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
	file *os.File
}

// openArchive opens a run's folder, making what is not there, to go on with it.
func openArchive(dir string, s setup) (*recorder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, archiveFile)
	a, complete, err := readArchive(dir)
	if errors.Is(err, fs.ErrNotExist) {
		a, err = &archive{}, nil
	}
	if err != nil {
		return nil, err
	}
	if was := a.setup; was != nil {
		if why := was.Machine.Difference(s.Machine); why != "" {
			return nil, fmt.Errorf("%s is from %s: measure into another folder", name, why)
		}
		if was.Seed != s.Seed || was.Sample != s.Sample || was.Tracer != s.Tracer {
			return nil, fmt.Errorf("%s is of seed %d, %d placements a workflow and tracer %q: go on with those, or measure into another folder", name, was.Seed, was.Sample, was.Tracer)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	r := &recorder{archive: a, file: f}
	// What was cut short is written over.
	err = f.Truncate(complete)
	if err == nil {
		_, err = f.Seek(complete, io.SeekStart)
	}
	if err == nil && a.setup == nil {
		err = r.write(&line{Setup: &s})
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// write appends a line, and takes it.
func (r *recorder) write(l *line) error {
	if l.At.IsZero() {
		l.At = time.Now().UTC()
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(data, '\n')); err != nil {
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

package accuracy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/strace"
)

// distributionSeed of the predicted distributions.
const distributionSeed = 1

// report predicts everything that was measured. What learned models predicted is
// read from the run's folder.
func (a *archive) report(dir string) (*Report, error) {
	if a.setup == nil || len(a.calibrations) == 0 {
		return nil, errors.New("nothing was measured yet")
	}
	r := &Report{
		Machine: a.setup.Machine, Created: time.Now().UTC().Truncate(time.Second), Seed: a.setup.Seed, Sample: a.setup.Sample,
		Calibration: a.calibrations[len(a.calibrations)-1], Notes: slices.Clone(a.notes),
	}
	for _, w := range a.workflows {
		if w.definition == nil {
			continue // it had no turn yet
		}
		found, err := a.analyse(w)
		if err != nil {
			return nil, fmt.Errorf("workflow %q: %w", w.name, err)
		}
		r.Workflows = append(r.Workflows, *found)
	}
	l, err := readLearned(dir)
	if err != nil {
		return nil, err
	}
	l.fold(r)
	return r, nil
}

func (a *archive) analyse(w *measuredWorkflow) (*Workflow, error) {
	out := &Workflow{Name: w.name, Pending: len(w.pending()), Notes: slices.Clone(w.notes)}
	main, paper := w.byTracer()
	if len(main) == 0 {
		return out, nil
	}
	out.Drift = drift(main[0].profile, main[len(main)-1].profile)
	predictors := newPredictors(a, w)
	load := 0.0
	for _, p := range w.placements {
		m := w.done[p.ID]
		if m == nil {
			continue
		}
		if m.Failure != "" {
			out.Notes = append(out.Notes, fmt.Sprintf("not measured: %s: %s", p.name(), m.Failure))
			continue
		}
		row := newRow(p, m)
		row.Tasks = features(w.definition, p.Plan, main[0].profile)
		load += m.Others
		if err := predictors.predict(row, p, m, main, paper); err != nil {
			return nil, fmt.Errorf("placement %s: %w", p.name(), err)
		}
		out.Rows = append(out.Rows, *row)
	}
	if len(out.Rows) > 0 {
		out.Others = load / float64(len(out.Rows))
	}
	return out, nil
}

// byTracer are the profiles for this program's predictions, and those for the
// paper's model, which strace made.
func (w *measuredWorkflow) byTracer() (main, paper []measuredProfile) {
	for _, p := range w.profiles {
		if p.tracer == strace.Name {
			paper = append(paper, p)
		} else {
			main = append(main, p)
		}
	}
	if main == nil {
		main = paper
	}
	if paper == nil && len(main) > 0 && allBy(main[0].profile, strace.Name) {
		paper = main
	}
	return main, paper
}

// around are the last of times before begin and the first after end, and the
// weight of the second: by how near each is to the middle. Where one side has
// none, both are the same.
func around(times []time.Time, begin, end time.Time) (before, after int, weight float64) {
	before, after = -1, -1
	for i, at := range times {
		if !at.After(begin) {
			before = i
		}
		if after < 0 && !at.Before(end) {
			after = i
		}
	}
	switch {
	case before < 0 && after < 0:
		return 0, 0, 0 // all lie within: take the first
	case before < 0:
		return after, after, 0
	case after < 0:
		return before, before, 0
	}
	middle := begin.Add(end.Sub(begin) / 2)
	span := times[after].Sub(times[before])
	if span <= 0 {
		return before, after, 0.5
	}
	return before, after, float64(middle.Sub(times[before])) / float64(span)
}

// predictors keeps those of one workflow, since many placements share one.
type predictors struct {
	archive  *archive
	workflow *measuredWorkflow
	known    map[predictorKey]*predict.Predictor
	refitted map[refitKey]*profile.Profile
}

type refitKey struct {
	profile *profile.Profile
	solo    *soloRuns
}

type predictorKey struct {
	profile     *profile.Profile
	calibration int
	cpus        int
}

func newPredictors(a *archive, w *measuredWorkflow) *predictors {
	return &predictors{archive: a, workflow: w, known: make(map[predictorKey]*predict.Predictor), refitted: make(map[refitKey]*profile.Profile)}
}

// refit is soloRuns.refit, once; without soloRuns the profile itself.
func (s *predictors) refit(p *profile.Profile, solo *soloRuns) *profile.Profile {
	if solo == nil {
		return p
	}
	key := refitKey{p, solo}
	if s.refitted[key] == nil {
		s.refitted[key] = solo.refit(p)
	}
	return s.refitted[key]
}

func (s *predictors) of(k predictorKey) (*predict.Predictor, error) {
	if p, ok := s.known[k]; ok {
		return p, nil
	}
	p, err := predict.New(s.workflow.definition, k.profile, s.archive.calibrations[k.calibration], predict.Options{CPUs: k.cpus, Spare: k.cpus < s.archive.setup.Machine.CPUs})
	if err == nil {
		s.known[k] = p
	}
	return p, err
}

// predict fills in what the models say of a placement, from the profile before
// it was measured with the times that the functions took in the same rounds, and
// from the constants before and after: the mean of both predictions, so that a
// machine that becomes slower or faster meanwhile does not decide.
func (s *predictors) predict(row *Row, p *Placement, m *measurement, main, paper []measuredProfile) error {
	calibrated := s.archive.calibrated
	first, last, later := around(calibrated, m.Begin, m.End)
	// each calls f with the predictors of both sides and their weights.
	each := func(profiles []measuredProfile, f func(*predict.Predictor, *profile.Profile, float64) error) error {
		times := make([]time.Time, len(profiles))
		for i, p := range profiles {
			times[i] = p.at
		}
		before, _, _ := around(times, m.Begin, m.End)
		fitted := s.refit(profiles[before].profile, s.workflow.soloOf(m.Begin, p.CPUs))
		for calibration, weight := range map[int]float64{first: 1 - later, last: later} {
			if first == last {
				weight = 1
			}
			key := predictorKey{profile: fitted, calibration: calibration, cpus: p.CPUs}
			predictor, err := s.of(key)
			if err == nil {
				err = f(predictor, key.profile, weight)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	var predicted, p50, p90, p99, longest, sum, byPaper float64
	err := each(main, func(predictor *predict.Predictor, measured *profile.Profile, weight float64) error {
		d, err := predictor.Distribution(p.Plan, predict.DistributionOptions{Seed: distributionSeed})
		if err != nil {
			return err
		}
		predicted += weight * float64(d.Mean)
		p50 += weight * float64(d.P50)
		p90 += weight * float64(d.P90)
		p99 += weight * float64(d.P99)
		l, all := naive(s.workflow.definition, measured)
		longest += weight * float64(l)
		sum += weight * float64(all)
		return nil
	})
	if err != nil {
		return err
	}
	row.Predicted, row.Longest, row.Sum = time.Duration(predicted), time.Duration(longest), time.Duration(sum)
	row.PredictedP50, row.PredictedP90, row.PredictedP99 = time.Duration(p50), time.Duration(p90), time.Duration(p99)
	row.latencies = m.Latencies
	if len(paper) == 0 {
		return nil
	}
	err = each(paper, func(predictor *predict.Predictor, _ *profile.Profile, weight float64) error {
		latency, err := predictor.PaperLatency(p.Plan)
		byPaper += weight * float64(latency)
		return err
	})
	if err == nil {
		row.Paper = time.Duration(byPaper)
	}
	return nil // the paper's model does not know stages like this one's
}

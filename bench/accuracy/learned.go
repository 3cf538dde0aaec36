package accuracy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/internal/strictjson"
)

// learnedFile is where bench/yardsticks leaves the predictions of learned models,
// in the run's folder.
const learnedFile = "yardsticks.json"

// maxLearned bounds that file, bytes.
const maxLearned = 64 << 20

// learned is that file: predictions in ms by model, workflow and placement.
type learned map[string]map[string]map[string]float64

// readLearned reads the predictions in a run's folder; none where there are none.
func readLearned(dir string) (learned, error) {
	name := filepath.Join(dir, learnedFile)
	data, err := strictjson.ReadFile(name, maxLearned)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var l learned
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for model, workflows := range l {
		for workflow, placements := range workflows {
			for id, ms := range placements {
				if math.IsNaN(ms) || ms <= 0 || ms > 1e8 {
					return nil, fmt.Errorf("%s: %s predicts %v ms for placement %s of %s: it must be over 0 and under a day", name, model, ms, id, workflow)
				}
			}
		}
	}
	return l, nil
}

// fold adds the predictions to the report's rows.
func (l learned) fold(r *Report) {
	for i := range r.Workflows {
		w := &r.Workflows[i]
		for k := range w.Rows {
			row := &w.Rows[k]
			for model, workflows := range l {
				ms, ok := workflows[w.Name][row.ID]
				if !ok {
					continue
				}
				if row.Learned == nil {
					row.Learned = make(map[string]time.Duration)
				}
				row.Learned[model] = time.Duration(ms * float64(time.Millisecond))
			}
		}
	}
}

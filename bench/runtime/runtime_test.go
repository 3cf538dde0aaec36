package runtime

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"
)

// Every experiment runs, with real wraps, and fills its tables.
func TestExperiments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of wraps")
	}
	modes := len(plan.Modes())
	rows := map[string]int{"first-reply": len(heaps) * modes, "path": 0, "throughput": 2 * (modes + 1), "memory": 2 * modes}
	for _, place := range pathPlaces {
		rows["path"] += len(place.modes)*(len(pathFunctions)-1) + 1 // one kind is of resident processes only
	}
	// What may be nothing: nobody is refused, an agent's wait takes no CPU.
	mayBeZero := map[string]bool{"refused %": true, "gateway CPU %": true, "agent CPU %": true}
	chiron, agent := programtest.BuildBoth(t)
	r, err := Run(t.Context(), Options{Programs: serving.Programs{Chiron: chiron, Agent: agent}, Rounds: 1, connections: []int{1, 40}, processes: []int{1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range r.Tables {
		want, ok := rows[table.Experiment]
		delete(rows, table.Experiment)
		if !ok || len(table.Rows) != want {
			t.Errorf("%s has %d rows, want %d", table.Experiment, len(table.Rows), want)
		}
		for _, row := range table.Rows {
			if len(row.Keys) != len(table.Keys) || len(row.Figures) != len(table.Figures) {
				t.Errorf("%s: row %+v", table.Experiment, row)
				continue
			}
			for i, f := range row.Figures {
				if !(f > 0) && !(f == 0 && mayBeZero[table.Figures[i]]) {
					t.Errorf("%s: row %+v", table.Experiment, row)
				}
			}
		}
	}
	if len(rows) > 0 {
		t.Errorf("without a table: %v", rows)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestNoSuchExperiment(t *testing.T) {
	if _, err := Run(context.Background(), Options{Only: []string{"nonsense"}}); err == nil || !strings.Contains(err.Error(), "first-reply") {
		t.Errorf("got %v", err)
	}
}

func TestText(t *testing.T) {
	one := Table{Title: "Replies", Keys: []string{"heap", "mode"}, Figures: []string{"ms", "times"}}
	one.add([]string{"5 MB", "pool"}, 0.4449, 1)
	one.add([]string{"200 MB", "standby"}, 12.04, 123.4)
	var b strings.Builder
	if err := (&Report{Tables: []Table{one, {Title: "None"}}}).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `Replies
heap    mode        ms  times
5 MB    pool     0.445   1.00
200 MB  standby   12.0    123

None

`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

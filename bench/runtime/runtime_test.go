package runtime

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/plan"
)

// Every experiment runs, with real wraps, and fills its tables.
func TestExperiments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen wraps")
	}
	r, err := Run(t.Context(), Options{Binary: benchtest.Program(t), Rounds: 1, Only: []string{"first-reply"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tables) != 1 || len(r.Tables[0].Rows) != len(heaps)*len(plan.Modes()) {
		t.Fatalf("got %+v", r)
	}
	for _, row := range r.Tables[0].Rows {
		if len(row.Keys) != len(r.Tables[0].Keys) || len(row.Figures) != len(r.Tables[0].Figures) {
			t.Errorf("row %+v", row)
		}
		for _, f := range row.Figures {
			if !(f > 0) {
				t.Errorf("row %+v", row)
			}
		}
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

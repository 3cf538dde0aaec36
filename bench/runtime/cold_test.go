package runtime

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
)

// TestCold runs one round of everything with real interpreters.
func TestCold(t *testing.T) {
	r, err := Cold(t.Context(), ColdOptions{Binary: benchtest.Program(t), Rounds: 1, Rest: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 3*len(coldHandlers) || r.Rest == nil || r.Rest.AgentMB <= 0 || r.Rest.AgentOwnMB > r.Rest.AgentMB {
		t.Fatalf("report %+v, rest %+v", r, r.Rest)
	}
	for _, row := range r.Rows {
		if row.New <= 0 || row.Forked <= 0 || (row.What == ColdInstance) != (row.Handler == 0) {
			t.Errorf("row %+v", row)
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

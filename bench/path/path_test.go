package path

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chiron-faas/chiron/internal/programtest"
)

// TestRun measures shortly: the figures mean nothing, that there are some does.
func TestRun(t *testing.T) {
	chiron, _ := programtest.BuildBoth(t)
	r, err := Run(t.Context(), Options{Chiron: chiron, Rounds: 1, Round: 100 * time.Millisecond, Steady: 500})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) < 5 {
		t.Errorf("%d rows: %+v", len(r.Rows), r)
	}
	for _, row := range r.Rows {
		if row.MedianMS <= 0 || row.P99MS < row.MedianMS || row.Rate <= 0 {
			t.Errorf("row %+v", row)
		}
	}
	if s := r.Steady; s == nil || len(s.Samples) != 3 || s.Samples[2].Memory == 0 || s.Samples[2].Descriptors == 0 {
		t.Errorf("steady %+v", r.Steady)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(text.String(), "\n") {
		if utf8.RuneCountInString(line) > 100 && !strings.HasPrefix(line, "note: ") {
			t.Errorf("a line of %d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

func TestBody(t *testing.T) {
	if len(body) != 100 {
		t.Errorf("the body has %d bytes", len(body))
	}
}

package runtime

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
)

// TestTransfer moves small and large values by every way: each takes its time,
// and arrives whole (the functions compare the sizes).
func TestTransfer(t *testing.T) {
	r, err := Transfer(t.Context(), TransferOptions{Sizes: []int{1, 200_000, 3e6}, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Rows {
		for _, way := range Ways {
			d, ok := row.Times[way]
			if small := row.Size == 1 && (way == WayMapped || way == WayRead); ok == small {
				t.Errorf("%d bytes, %s: there is a time: %v", row.Size, way, ok)
			}
			if ok && d < 0 || ok && way != WayMemcpy && way != WayCall && d == 0 {
				t.Errorf("%d bytes, %s: %v", row.Size, way, d)
			}
		}
	}
	var text, table bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Error(err)
	}
	if s := text.String(); !strings.Contains(s, "200 kB") || !strings.Contains(s, "3 MB at ") {
		t.Errorf("the report says:\n%s", s)
	}
	if err := r.WriteCSV(&table); err != nil {
		t.Error(err)
	}
	lines, err := csv.NewReader(&table).ReadAll()
	if want := 1 + 3*len(Ways) - 2; err != nil || len(lines) != want {
		t.Errorf("%d lines of CSV, want %d (%v)", len(lines), want, err)
	}
}

package runtime

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// TransferReport is what Transfer measured.
type TransferReport struct {
	Rows []TransferRow `json:"rows"`
}

// TransferRow is one size; medians over its rounds.
type TransferRow struct {
	Size   int `json:"bytes"`
	Rounds int `json:"rounds"`
	// Times by way, nanoseconds; a way that does not go at this size has none.
	Times map[string]time.Duration `json:"ns"`
}

// Rate is how fast a way moves the value, as a ratio to memcpy; 0: it has no
// time.
func (r *TransferRow) Rate(way string) float64 {
	t, ok := r.Times[way]
	if !ok || t <= 0 {
		return 0
	}
	return float64(r.Times[WayMemcpy]) / float64(t)
}

func sizeText(n int) string {
	switch {
	case n >= 1e9:
		return strconv.FormatFloat(float64(n)/1e9, 'g', 3, 64) + " GB"
	case n >= 1e6:
		return strconv.FormatFloat(float64(n)/1e6, 'g', 3, 64) + " MB"
	case n >= 1e3:
		return strconv.FormatFloat(float64(n)/1e3, 'g', 3, 64) + " kB"
	}
	return strconv.Itoa(n) + " B"
}

// WriteText writes a table of milliseconds, a line for each size, and how the
// largest sizes move beside memcpy.
func (r *TransferReport) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-8s", "ms")
	for _, way := range Ways {
		fmt.Fprintf(&b, " %15s", way)
	}
	b.WriteByte('\n')
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%-8s", sizeText(row.Size))
		for _, way := range Ways {
			text := "-"
			if t, ok := row.Times[way]; ok {
				text = fmt.Sprintf("%.4g", float64(t)/1e6)
			}
			fmt.Fprintf(&b, " %15s", text)
		}
		b.WriteByte('\n')
	}
	for _, row := range r.Rows {
		if row.Size < 1e6 {
			continue
		}
		fmt.Fprintf(&b, "%s at %.1f GB/s (memcpy): mapped in the next process at %.0f %% of that, read through at %.0f %%, its object made at %.0f %%\n",
			sizeText(row.Size), float64(row.Size)/float64(max(row.Times[WayMemcpy], 1)),
			100*row.Rate(WayMapped), 100*row.Rate(WayRead), 100*row.Rate(WayKept))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// WriteCSV writes a line for each size and way.
func (r *TransferReport) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"bytes", "way", "ms", "rounds", "of_memcpy"}) // Error tells
	for i := range r.Rows {
		row := &r.Rows[i]
		for _, way := range Ways {
			if t, ok := row.Times[way]; ok {
				_ = w.Write([]string{
					strconv.Itoa(row.Size), way, strconv.FormatFloat(float64(t)/1e6, 'f', 6, 64),
					strconv.Itoa(row.Rounds), strconv.FormatFloat(row.Rate(way), 'f', 4, 64),
				})
			}
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

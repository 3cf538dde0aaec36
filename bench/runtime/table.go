package runtime

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Table is what an experiment measured.
type Table struct {
	Experiment string `json:"experiment"`
	Title      string `json:"title"`
	// Keys head the columns of words, Figures those of numbers, units included.
	Keys    []string `json:"keys"`
	Figures []string `json:"figures"`
	Rows    []Row    `json:"rows"`
}

// Row has a word for each of the table's keys, and a number for each figure.
type Row struct {
	Keys    []string  `json:"keys"`
	Figures []float64 `json:"figures"`
}

// add appends a row.
func (t *Table) add(keys []string, figures ...float64) {
	t.Rows = append(t.Rows, Row{keys, figures})
}

// WriteText writes the tables for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	for i := range r.Tables {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.Tables[i].text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (t *Table) text(b *bytes.Buffer) {
	lines := [][]string{append(append([]string(nil), t.Keys...), t.Figures...)}
	for _, row := range t.Rows {
		line := append([]string(nil), row.Keys...)
		for _, figure := range row.Figures {
			line = append(line, number(figure))
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(b, "%s\n", t.Title)
	for _, line := range lines {
		for i, cell := range line {
			switch {
			case i >= len(t.Keys):
				fmt.Fprintf(b, "%*s", widths[i], cell)
			case i+1 < len(line):
				fmt.Fprintf(b, "%-*s", widths[i], cell)
			default:
				b.WriteString(cell)
			}
			if i+1 < len(line) {
				b.WriteString("  ")
			}
		}
		b.WriteByte('\n')
	}
}

// number has three digits that count.
func number(f float64) string {
	switch abs := max(f, -f); {
	case abs >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case abs >= 1:
		return strconv.FormatFloat(f, 'f', 2, 64)
	default:
		return strconv.FormatFloat(f, 'f', 3, 64)
	}
}

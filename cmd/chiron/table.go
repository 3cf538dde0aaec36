package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// width of everything that is printed, characters.
const width = 100

// column of a table.
type column struct {
	title string
	// right aligns numbers.
	right bool
	// flex columns give way, cut with an ellipsis, when a row is too wide.
	flex bool
}

// gap between two columns, characters.
const gap = 2

// printTable prints rows under their titles. Columns are as wide as what they
// hold; flexible ones give up what is over the width.
func printTable(w io.Writer, s style, columns []column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	shrink(columns, widths)
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	printf(w, "%s\n", s.dim(tableLine(columns, widths, titles)))
	for _, row := range rows {
		printf(w, "%s\n", tableLine(columns, widths, row))
	}
}

// leastFlex is what a flexible column keeps at least.
const leastFlex = 8

// shrink takes what is over the width from the flexible columns, the widest
// first.
func shrink(columns []column, widths []int) {
	for {
		total := gap * (len(widths) - 1)
		widest := -1
		for i, n := range widths {
			total += n
			if columns[i].flex && n > leastFlex && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if total <= width || widest < 0 {
			return
		}
		widths[widest]--
	}
}

func tableLine(columns []column, widths []int, cells []string) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		cell := fit(cells[i], widths[i])
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if c.right {
			b.WriteString(space + cell)
		} else {
			b.WriteString(cell + space)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// fit cuts text to n characters, the last an ellipsis where it was longer.
func fit(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n-1, 0)]) + "…"
}

// pad fills painted text, shown characters wide, up to n.
func pad(painted string, n, shown int) string {
	return painted + strings.Repeat(" ", max(n-shown, 0))
}

// wrapped breaks text between words so that it fits the width when every line
// but the first is indented by indent, and the first begins there.
func wrapped(text string, indent int) string {
	var b strings.Builder
	room := width - indent
	used := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

package pgp

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/svg"
)

// TestGrowth measures how the search's time grows with the functions of a stage
// and draws it into the file that CHIRON_GROWTH names; without it is skipped: it
// asks for an idle machine.
func TestGrowth(t *testing.T) {
	file := os.Getenv("CHIRON_GROWTH")
	if file == "" {
		t.Skip("CHIRON_GROWTH names no file")
	}
	sizes := []int{50, 100, 200, 300, 500, 700, 1000}
	series := []struct {
		name  string
		kinds func(n int) int
		took  []time.Duration
	}{
		{name: "20 kinds of functions", kinds: func(int) int { return 20 }},
		{name: "no two alike", kinds: func(n int) int { return n }},
	}
	slowest := time.Duration(0)
	for i := range series {
		s := &series[i]
		for _, n := range sizes {
			p := stageOf(t, n, s.kinds(n))
			var runs []time.Duration
			for range 5 {
				begun := time.Now()
				if _, err := Search(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				runs = append(runs, time.Since(begun))
			}
			slices.Sort(runs)
			s.took = append(s.took, runs[2])
			slowest = max(slowest, runs[2])
			t.Logf("%4d functions, %-22s %8.1f ms", n, s.name+":", ms(runs[2]))
		}
	}
	picture := svg.New(760, 420, "How the search's time grows")
	x := svg.Scale{To: 1000, FromPixel: 80, ToPixel: 720}
	y := svg.Scale{To: ms(slowest) * 1.1, FromPixel: 360, ToPixel: 80}
	picture.Text(svg.Point{X: 20, Y: 30}, "Time to plan a stage, by its functions", svg.Title)
	for _, v := range svg.Ticks(0, y.To, 6) {
		picture.Line(svg.Point{X: 80, Y: y.At(v)}, svg.Point{X: 720, Y: y.At(v)}, svg.Grid)
		picture.Text(svg.Point{X: 72, Y: y.At(v) + 4}, fmt.Sprint(v), svg.Dim+" "+svg.End)
	}
	for _, v := range svg.Ticks(0, 1000, 10) {
		picture.Text(svg.Point{X: x.At(v), Y: 378}, fmt.Sprint(v), svg.Dim+" "+svg.Middle)
	}
	picture.Text(svg.Point{X: 72, Y: 66}, "ms", svg.Dim+" "+svg.End)
	picture.Text(svg.Point{X: 720, Y: 398}, "functions", svg.Dim+" "+svg.End)
	for i, s := range series {
		var line []svg.Point
		for k, n := range sizes {
			line = append(line, svg.Point{X: x.At(float64(n)), Y: y.At(ms(s.took[k]))})
		}
		picture.Polyline(line, svg.Stroke(i))
		picture.Text(svg.Point{X: 90, Y: 96 + 18*float64(i)}, s.name, svg.Label)
		picture.Rect(78, 88+18*float64(i), 8, 8, svg.Fill(i), "")
	}
	var text bytes.Buffer
	if err := picture.Encode(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

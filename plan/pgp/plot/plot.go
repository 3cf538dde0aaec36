package plot

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/internal/svg"
	"github.com/chiron-faas/chiron/plan/pgp"
)

// The picture's measures, pixels.
const (
	width  = 820
	height = 460
	left   = 80.0 // of the field
	right  = 780.0
	top    = 84.0
	bottom = 400.0
	// Areas of the points are as the plans' memory, the largest of this radius.
	largest, least = 14.0, 4.0
)

// SVG draws a frontier: each plan a point, its CPUs to the right, its latency
// upwards, as large as its memory, with its money where the pointer rests on it.
// slo is drawn as a line; 0: there is none.
func SVG(w io.Writer, workflow string, points []pgp.Point, slo time.Duration) error {
	picture := svg.New(width, height, "Plans of "+workflow)
	most, memory := 1, int64(1)
	slowest := slo
	for i := range points {
		most, memory, slowest = max(most, points[i].CPUs), max(memory, points[i].Memory), max(slowest, points[i].Latency)
	}
	x := svg.Scale{From: 0, To: float64(most + 1), FromPixel: left, ToPixel: right}
	y := svg.Scale{From: 0, To: ms(slowest) * 1.08, FromPixel: bottom, ToPixel: top}
	picture.Text(svg.Point{X: 20, Y: 30}, "The plans of "+workflow+" that no other beats", svg.Title)
	picture.Text(svg.Point{X: 20, Y: 52}, "In CPUs, memory (the area of a point), money (rest on a point) or predicted latency, each is better than any other.", svg.Dim)
	for _, v := range svg.Ticks(0, y.To, 6) {
		picture.Line(svg.Point{X: left, Y: y.At(v)}, svg.Point{X: right, Y: y.At(v)}, svg.Grid)
		picture.Text(svg.Point{X: left - 8, Y: y.At(v) + 4}, number(v), svg.Dim+" "+svg.End)
	}
	for _, v := range svg.Ticks(0, x.To, min(12, most+1)) {
		if v == math.Trunc(v) {
			picture.Text(svg.Point{X: x.At(v), Y: bottom + 18}, number(v), svg.Dim+" "+svg.Middle)
		}
	}
	picture.Line(svg.Point{X: left, Y: bottom}, svg.Point{X: right, Y: bottom}, svg.Axis)
	picture.Text(svg.Point{X: right, Y: bottom + 38}, "CPUs", svg.Dim+" "+svg.End)
	picture.Text(svg.Point{X: left - 8, Y: top - 10}, "ms", svg.Dim+" "+svg.End)
	if slo > 0 {
		picture.Line(svg.Point{X: left, Y: y.At(ms(slo))}, svg.Point{X: right, Y: y.At(ms(slo))}, svg.Stroke(1))
		picture.Text(svg.Point{X: right, Y: y.At(ms(slo)) - 6}, fmt.Sprintf("SLO %v", slo), svg.Dim+" "+svg.End)
	}
	for i := range points {
		p := &points[i]
		class := svg.Fill(0)
		if !p.Meets {
			class = svg.Fill(svg.Colours - 1)
		}
		tip := fmt.Sprintf("%d CPUs, %.1f ms, %.1f MB, %.2f USD for a million requests", p.CPUs, ms(p.Latency), float64(p.Memory)/1e6, p.Money)
		radius := max(least, largest*math.Sqrt(float64(p.Memory)/float64(memory)))
		picture.Circle(svg.Point{X: x.At(float64(p.CPUs)), Y: y.At(ms(p.Latency))}, radius, class, tip)
	}
	return picture.Encode(w)
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

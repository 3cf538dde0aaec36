package systems

import (
	"fmt"
	"math"
	"slices"

	"github.com/chiron-faas/chiron/internal/svg"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
)

// Measures of the pictures, pixels.
const (
	plotWidth  = 920.0
	plotHeight = 260.0
	plotLeft   = 64.0
	plotTop    = 64.0
	plotBelow  = 84.0 // names of groups, and the legend
	plotRight  = 20.0
)

// series is one system's values, by group. What is not a number is left out.
type series struct {
	name   string
	values []float64
}

// bars draws groups of bars beside each other, on a logarithmic scale where the
// values are far apart.
func bars(title, unit string, groups []string, all []series) *svg.Picture {
	pic := svg.New(plotLeft+plotWidth+plotRight, plotTop+plotHeight+plotBelow, title)
	pic.Text(svg.Point{X: plotLeft, Y: 24}, title, svg.Title)
	low, high := math.Inf(1), 0.0
	for _, s := range all {
		for _, v := range s.values {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high == 0 {
		low, high = 1, 1
	}
	scale := newAxis(low, high)
	scale.draw(pic, unit)
	width := plotWidth / float64(max(len(groups), 1))
	bar := width * 0.84 / float64(max(len(all), 1))
	for g, group := range groups {
		x := plotLeft + float64(g)*width
		pic.Text(svg.Point{X: x + width/2, Y: plotTop + plotHeight + 18}, group, svg.Label+" "+svg.Middle)
		for i, s := range all {
			if g >= len(s.values) || !(s.values[g] > 0) {
				continue
			}
			y := scale.at(s.values[g])
			pic.Rect(x+width*0.08+float64(i)*bar, y, bar*0.92, plotTop+plotHeight-y, svg.Fill(shade(s.name, i)), fmt.Sprintf("%s, %s: %s %s", group, s.name, figure(s.values[g]), unit))
			if shade(s.name, i) >= svg.Colours { // the palette has begun again
				pic.Line(svg.Point{X: x + width*0.08 + (float64(i)+0.46)*bar, Y: y}, svg.Point{X: x + width*0.08 + (float64(i)+0.46)*bar, Y: plotTop + plotHeight}, svg.Mark)
			}
		}
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.name
	}
	legend(pic, names)
	return pic
}

// shade of a series that is the i-th: a number of its own for each system, the same
// in every picture; those from svg.Colours on are drawn with gaps or a mark.
func shade(name string, i int) int {
	if at := slices.Index([]string{
		pgp.Name, yardstick, string(model.OneToOne), string(model.SAND), pgp.NameShared, string(model.FaastlaneP), string(model.FaastlaneT),
		pgp.NameStandby, string(model.FaastlanePlus), // in the colours of Chiron and Faastlane
	}, name); at >= 0 {
		return at
	}
	return i
}

// axis is the vertical one.
type axis struct {
	log       bool
	low, high float64
}

// farApart is a ratio of values from which bars are drawn on a logarithmic scale.
const farApart = 60

func newAxis(low, high float64) axis {
	if low > 0 && high/low > farApart {
		return axis{log: true, low: math.Pow(10, math.Floor(math.Log10(low))), high: high * 1.1}
	}
	return axis{high: high * 1.06}
}

func (a axis) at(v float64) float64 {
	part := v / a.high
	if a.log {
		part = math.Log(v/a.low) / math.Log(a.high/a.low)
	}
	return plotTop + plotHeight*(1-max(0, min(part, 1)))
}

func (a axis) draw(pic *svg.Picture, unit string) {
	ticks := svg.Ticks(0, a.high, 5)
	if a.log {
		ticks = nil
		for v := a.low; v <= a.high; v *= 10 {
			ticks = append(ticks, v)
		}
		unit += " (logarithmic)"
	}
	for _, v := range ticks {
		y := a.at(max(v, a.low))
		pic.Line(svg.Point{X: plotLeft, Y: y}, svg.Point{X: plotLeft + plotWidth, Y: y}, svg.Grid)
		pic.Text(svg.Point{X: plotLeft - 6, Y: y + 4}, figure(v), svg.Dim+" "+svg.End)
	}
	pic.Text(svg.Point{X: plotLeft, Y: plotTop - 12}, unit, svg.Dim)
}

// legend names the colours below a picture.
func legend(pic *svg.Picture, names []string) {
	x, y := plotLeft, plotTop+plotHeight+48
	for i, name := range names {
		pic.Rect(x, y-9, 10, 10, svg.Fill(shade(name, i)), "")
		if shade(name, i) >= svg.Colours {
			pic.Line(svg.Point{X: x + 5, Y: y - 9}, svg.Point{X: x + 5, Y: y + 1}, svg.Mark)
		}
		pic.Text(svg.Point{X: x + 15, Y: y}, name, svg.Label)
		x += 34 + 7*float64(len(name))
		if x > plotLeft+plotWidth-120 {
			x, y = plotLeft, y+18
		}
	}
}

// curve is a distribution.
type curve struct {
	name   string
	values []float64 // in any order
}

// maxCurvePoints of a curve that are drawn.
const maxCurvePoints = 120

// distributions draws cumulative distributions in panels beside each other.
func distributions(title string, panels []string, unit string, all [][]curve) *svg.Picture {
	pic := svg.New(plotLeft+plotWidth+plotRight, plotTop+plotHeight+plotBelow, title)
	pic.Text(svg.Point{X: plotLeft, Y: 24}, title, svg.Title)
	const gap = 54.0
	width := (plotWidth - gap*float64(len(panels)-1)) / float64(max(len(panels), 1))
	for i, name := range panels {
		left := plotLeft + float64(i)*(width+gap)
		high := 0.0
		for _, c := range all[i] {
			for _, v := range c.values {
				high = max(high, v)
			}
		}
		if high == 0 {
			high = 1
		}
		x := svg.Scale{From: 0, To: high * 1.02, FromPixel: left, ToPixel: left + width}
		y := svg.Scale{From: 0, To: 1, FromPixel: plotTop + plotHeight, ToPixel: plotTop}
		for _, part := range []float64{0, 0.5, 1} {
			pic.Line(svg.Point{X: left, Y: y.At(part)}, svg.Point{X: left + width, Y: y.At(part)}, svg.Grid)
			pic.Text(svg.Point{X: left - 6, Y: y.At(part) + 4}, figure(part), svg.Dim+" "+svg.End)
		}
		for _, v := range svg.Ticks(0, high, 5) {
			pic.Text(svg.Point{X: x.At(v), Y: plotTop + plotHeight + 16}, figure(v), svg.Dim+" "+svg.Middle)
		}
		pic.Text(svg.Point{X: left, Y: plotTop - 10}, name+", "+unit, svg.Label)
		for k, c := range all[i] {
			sorted := slices.Sorted(slices.Values(c.values))
			var points []svg.Point
			step := max(1, len(sorted)/maxCurvePoints)
			for n := 0; n < len(sorted); n += step {
				points = append(points, svg.Point{X: x.At(sorted[n]), Y: y.At(float64(n+1) / float64(len(sorted)))})
			}
			if n := len(sorted); n > 0 {
				points = append(points, svg.Point{X: x.At(sorted[n-1]), Y: y.At(1)})
			}
			class := svg.Stroke(shade(c.name, k))
			if shade(c.name, k) >= svg.Colours {
				class += " " + svg.Dash
			}
			pic.Polyline(points, class)
		}
	}
	var names []string
	if len(all) > 0 {
		for _, c := range all[0] {
			names = append(names, c.name)
		}
	}
	legend(pic, names)
	return pic
}

// strip is one task's time in a timeline.
type strip struct {
	name       string
	begin, end float64 // ms
	kind       int     // colour
}

// timeline is one request.
type timeline struct {
	title string
	long  float64 // ms, the whole request
	tasks []strip
}

// maxStrips of a timeline that are drawn.
const maxStrips = 24

// timelines draws requests below each other on one scale.
func timelines(title string, all []timeline) *svg.Picture {
	const row, head = 15.0, 40.0
	height, high := 44.0, 0.0
	for _, t := range all {
		height += head + row*float64(min(len(t.tasks), maxStrips))
		high = max(high, t.long)
	}
	if high == 0 {
		high = 1
	}
	const left = 190.0
	pic := svg.New(plotLeft+plotWidth+plotRight, height+34, title)
	pic.Text(svg.Point{X: 16, Y: 24}, title, svg.Title)
	x := svg.Scale{From: 0, To: high * 1.02, FromPixel: left, ToPixel: plotLeft + plotWidth}
	for _, v := range svg.Ticks(0, high, 8) {
		pic.Line(svg.Point{X: x.At(v), Y: 40}, svg.Point{X: x.At(v), Y: height}, svg.Grid)
		pic.Text(svg.Point{X: x.At(v), Y: height + 16}, figure(v), svg.Dim+" "+svg.Middle)
	}
	pic.Text(svg.Point{X: 16, Y: height + 16}, "ms", svg.Dim)
	y := 44.0
	for _, t := range all {
		y += head
		pic.Text(svg.Point{X: 16, Y: y - 14}, t.title, svg.Label)
		pic.Line(svg.Point{X: x.At(t.long), Y: y - 22}, svg.Point{X: x.At(t.long), Y: y + row*float64(min(len(t.tasks), maxStrips))}, svg.Mark)
		for _, s := range t.tasks[:min(len(t.tasks), maxStrips)] {
			pic.Text(svg.Point{X: left - 8, Y: y + 9}, shorten(s.name, 24), svg.Dim+" "+svg.End)
			pic.Rect(x.At(s.begin), y, x.At(s.end)-x.At(s.begin), row-4, svg.Fill(s.kind), fmt.Sprintf("%s: %.2f to %.2f ms", s.name, s.begin, s.end))
			y += row
		}
	}
	return pic
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-1] + "…"
}

// figure is a number with three digits that matter.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.3g", v)
	default:
		return fmt.Sprintf("%.2g", v)
	}
}

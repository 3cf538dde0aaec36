package plot

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/chiron-faas/chiron/internal/svg"
	"github.com/chiron-faas/chiron/profile"
)

// The picture's measures, pixels.
const (
	width     = 960
	left      = 200.0 // of the bars
	right     = 820.0
	top       = 78.0
	rowHeight = 40.0
	barHeight = 22.0
	bottom    = 46.0
	// character is about how wide one of a label is; nameWidth is how many of
	// them a name may have.
	character = 5.8
	nameWidth = 26
)

// magnify is how much shorter than the longest function one may be to be drawn on
// the same scale: shorter ones are drawn larger, by a power of ten.
const magnify = 20

// SVG draws the profile: a bar for each function, in it its periods in order, with
// the spread of each (one standard deviation to both sides of its end), and a
// scale.
func SVG(w io.Writer, p *profile.Profile) error {
	longest := time.Millisecond / 1000
	for i := range p.Functions {
		// The spread of the longest is to be seen too, up to as much again.
		wall := p.Functions[i].Wall
		longest = max(longest, wall.Mean+min(wall.StdDev, wall.Mean))
	}
	height := top + rowHeight*float64(len(p.Functions)) + bottom
	picture := svg.New(width, height, "Profile of "+p.Workflow)
	d := drawing{picture: picture, longest: longest, scale: svg.Scale{To: float64(longest), FromPixel: left, ToPixel: right}}
	d.head(p)
	d.axis(height - bottom)
	for i := range p.Functions {
		d.function(&p.Functions[i], top+rowHeight*float64(i))
	}
	return picture.Encode(w)
}

type drawing struct {
	picture *svg.Picture
	longest time.Duration
	scale   svg.Scale // of nanoseconds
}

// colour of a class.
func colour(c profile.Class) svg.Class {
	switch c {
	case profile.CPU:
		return svg.Fill(0)
	case profile.Native:
		return svg.Fill(2)
	}
	return svg.Fill(svg.Colours - 1)
}

func (d *drawing) head(p *profile.Profile) {
	d.picture.Text(svg.Point{X: 20, Y: 30}, "What each function of "+p.Workflow+" does, alone and warm", svg.Title)
	x := 20.0
	for _, entry := range []struct {
		class profile.Class
		text  string
	}{
		{profile.CPU, "cpu: holds the interpreter lock"},
		{profile.Native, "native: computes without it"},
		{profile.Block, "block: waits"},
	} {
		d.picture.Rect(x, 45, 12, 12, colour(entry.class), "")
		d.picture.Text(svg.Point{X: x + 17, Y: 55}, entry.text, svg.Dim)
		x += 17 + 6.2*float64(utf8.RuneCountInString(entry.text)) + 18
	}
	d.spread(x, x+20, 51)
	d.picture.Text(svg.Point{X: x + 27, Y: 55}, "± one standard deviation of where a period ends", svg.Dim)
}

func (d *drawing) axis(y float64) {
	for _, at := range svg.Ticks(0, ms(d.longest), 8) {
		x := d.scale.At(at * 1e6)
		d.picture.Line(svg.Point{X: x, Y: top - 8}, svg.Point{X: x, Y: y}, svg.Grid)
		d.picture.Text(svg.Point{X: x, Y: y + 16}, strconv.FormatFloat(at, 'g', 6, 64), svg.Dim+" "+svg.Middle)
	}
	d.picture.Line(svg.Point{X: left, Y: y}, svg.Point{X: right, Y: y}, svg.Axis)
	d.picture.Text(svg.Point{X: right + 12, Y: y + 16}, "ms", svg.Dim)
}

func (d *drawing) function(f *profile.Function, y float64) {
	name := f.Name
	if n := len(f.Tasks); n > 1 {
		name = fmt.Sprintf("%s ×%d", name, n)
	}
	if utf8.RuneCountInString(name) > nameWidth {
		name = string([]rune(name)[:nameWidth-1]) + "…"
	}
	middle := y + barHeight/2 + 4
	d.picture.Text(svg.Point{X: left - 12, Y: middle}, name, svg.Label+" "+svg.End)
	by := d.larger(f.Wall.Mean)
	var at time.Duration
	var ends []mark
	for i, p := range f.Periods {
		from, to := d.scale.At(float64(at)*by), d.scale.At(float64(at+p.Mean)*by)
		what := string(p.Class)
		if p.Cause != "" {
			what = p.Cause
		}
		d.picture.Rect(from, y, max(to-from, 0.75), barHeight, colour(p.Class),
			fmt.Sprintf("%s, period %d: %s %s ± %s", f.Name, i+1, tip(p), timeText(p.Mean), timeText(p.StdDev)))
		for _, label := range []string{what + " " + timeText(p.Mean), what} {
			if character*float64(utf8.RuneCountInString(label))+8 <= to-from {
				class := svg.OnFill
				if p.Class == profile.Block {
					class = svg.OnGrey
				}
				d.picture.Text(svg.Point{X: from + 5, Y: middle - 0.5}, label, class)
				break
			}
		}
		at += p.Mean
		if sd := (d.scale.At(float64(p.StdDev)*by) - left); sd >= 1.5 {
			ends = append(ends, mark{to - sd, to + sd})
		}
	}
	last := d.scale.At(float64(at) * by)
	for _, m := range ends {
		m.to = min(m.to, right)
		d.spread(max(m.from, left), m.to, y+barHeight-4)
		last = max(last, m.to)
	}
	text := fmt.Sprintf("%s ± %s", timeText(f.Wall.Mean), timeText(f.Wall.StdDev))
	if by != 1 {
		text += fmt.Sprintf("   (drawn ×%g)", by)
	}
	d.picture.Text(svg.Point{X: last + 8, Y: middle}, text, svg.Dim)
}

// mark is the two ends of a spread.
type mark struct{ from, to float64 }

// spread draws a line with caps.
func (d *drawing) spread(from, to, y float64) {
	d.picture.Line(svg.Point{X: from, Y: y}, svg.Point{X: to, Y: y}, svg.Mark)
	for _, x := range []float64{from, to} {
		d.picture.Line(svg.Point{X: x, Y: y - 3}, svg.Point{X: x, Y: y + 3}, svg.Mark)
	}
}

// larger is the power of ten by which a function is drawn larger than the others.
func (d *drawing) larger(wall time.Duration) float64 {
	if wall <= 0 || wall*magnify > d.longest {
		return 1
	}
	return math.Pow(10, math.Floor(math.Log10(float64(d.longest)/float64(wall))))
}

func tip(p profile.Period) string {
	if p.Cause != "" {
		return string(p.Class) + " (" + p.Cause + ")"
	}
	return string(p.Class)
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// timeText has three digits, down to a microsecond: "12.3 ms".
func timeText(d time.Duration) string {
	digits := 3
	if d >= time.Millisecond {
		digits = max(0, 2-int(math.Floor(math.Log10(ms(d)))))
	}
	return strconv.FormatFloat(ms(d), 'f', digits, 64) + " ms"
}

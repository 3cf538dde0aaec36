package svg

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Class is how something is drawn: one or more names, apart by a space.
type Class string

// The classes. Text is Label unless it says otherwise.
const (
	// Label, Dim and Title are text; Start is the default anchor.
	Label  Class = "label"
	Dim    Class = "dim"
	Title  Class = "title"
	OnFill Class = "onfill" // text on a filled shape
	OnGrey Class = "ongrey" // text on the last colour
	Middle Class = "middle"
	End    Class = "end"
	// Axis and Grid are lines; Mark a thin one that stands out on any fill.
	Axis Class = "axis"
	Grid Class = "grid"
	Mark Class = "mark"
	// Dash is a line with gaps.
	Dash Class = "dash"
)

// palette is Paul Tol's "bright" scheme (https://personal.sron.nl/~pault/), which
// stays distinct under the common forms of colour blindness.
var palette = [...]string{"#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB"}

// Colours is how many there are.
const Colours = len(palette)

// Fill is a shape of the i-th colour, from 0; the last one is grey.
func Fill(i int) Class { return Class("fill" + strconv.Itoa(i%Colours)) }

// Stroke is a line of the i-th colour.
func Stroke(i int) Class { return Class("stroke" + strconv.Itoa(i%Colours)) }

// Point is a place in a picture: x to the right, y down, in pixels.
type Point struct{ X, Y float64 }

// Picture is a picture in the making. Its methods draw over what is there.
type Picture struct {
	width, height float64
	title         string
	body          bytes.Buffer
}

// New starts a picture of a size in pixels, and a title for those who do not see
// it.
func New(width, height float64, title string) *Picture {
	return &Picture{width: width, height: height, title: title}
}

// Rect draws a rectangle; tip is shown where a pointer rests on it, empty: none.
func (p *Picture) Rect(x, y, width, height float64, class Class, tip string) {
	p.element("rect", class, tip, "", "x", x, "y", y, "width", max(0, width), "height", max(0, height))
}

// Circle draws a disc.
func (p *Picture) Circle(at Point, radius float64, class Class, tip string) {
	p.element("circle", class, tip, "", "cx", at.X, "cy", at.Y, "r", max(0, radius))
}

// Line draws a straight line.
func (p *Picture) Line(from, to Point, class Class) {
	p.element("line", class, "", "", "x1", from.X, "y1", from.Y, "x2", to.X, "y2", to.Y)
}

// Polyline draws a line through points.
func (p *Picture) Polyline(points []Point, class Class) {
	var at strings.Builder
	for i, q := range points {
		if i > 0 {
			at.WriteByte(' ')
		}
		at.WriteString(number(q.X) + "," + number(q.Y))
	}
	fmt.Fprintf(&p.body, "<polyline class=%q points=%q/>\n", class, at.String())
}

// Text writes a line of text whose base line begins at a point, or has its middle
// or end there (Middle, End).
func (p *Picture) Text(at Point, text string, class Class) {
	p.element("text", class, "", text, "x", at.X, "y", at.Y)
}

// element writes <name class … key="value"><title>tip</title>text</name>.
func (p *Picture) element(name string, class Class, tip, text string, keysAndValues ...any) {
	fmt.Fprintf(&p.body, "<%s class=%q", name, class)
	for i := 0; i < len(keysAndValues); i += 2 {
		fmt.Fprintf(&p.body, " %s=%q", keysAndValues[i], number(keysAndValues[i+1].(float64)))
	}
	if tip == "" && text == "" {
		p.body.WriteString("/>\n")
		return
	}
	p.body.WriteByte('>')
	if tip != "" {
		p.body.WriteString("<title>" + escaped(tip) + "</title>")
	}
	p.body.WriteString(escaped(text) + "</" + name + ">\n")
}

// Encode writes the picture.
func (p *Picture) Encode(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=%q height=%q viewBox=\"0 0 %s %s\" role=\"img\">\n",
		number(p.width), number(p.height), number(p.width), number(p.height))
	out.WriteString("<title>" + escaped(p.title) + "</title>\n<style>\n" + style() + "</style>\n")
	fmt.Fprintf(&out, "<rect class=\"page\" width=%q height=%q/>\n", number(p.width), number(p.height))
	out.Write(p.body.Bytes())
	out.WriteString("</svg>\n")
	_, err := w.Write(out.Bytes())
	return err
}

// style has the light page's colours, and then those that a dark one changes.
func style() string {
	var b strings.Builder
	b.WriteString(`.page{fill:#ffffff}
text{font-family:system-ui,"Segoe UI","Helvetica Neue","DejaVu Sans",sans-serif;font-size:12px;fill:#24292f}
.title{font-size:15px;font-weight:600}
.dim{fill:#6e7781;font-size:11px}
.onfill{fill:#ffffff;font-size:10px;pointer-events:none}
.ongrey{fill:#24292f;font-size:10px;pointer-events:none}
.middle{text-anchor:middle}
.end{text-anchor:end}
line,polyline{fill:none;stroke-width:1}
polyline{stroke-width:1.75;stroke-linejoin:round}
.axis{stroke:#6e7781}
.grid{stroke:#d8dee4}
.mark{stroke:#24292f}
.dash{stroke-dasharray:6 3}
`)
	for i, colour := range palette {
		fmt.Fprintf(&b, ".fill%d{fill:%s}\n.stroke%d{stroke:%s}\n", i, colour, i, colour)
	}
	b.WriteString(`@media (prefers-color-scheme:dark){
.page{fill:#0d1117}
text{fill:#e6edf3}
.dim{fill:#8b949e}
.onfill{fill:#ffffff}
.ongrey{fill:#24292f}
.axis{stroke:#8b949e}
.grid{stroke:#30363d}
.mark{stroke:#e6edf3}
}
`)
	return b.String()
}

// number writes a coordinate to a hundredth of a pixel. What is no number is 0:
// a picture with one point amiss is better than none.
func number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = 0
	}
	return strconv.FormatFloat(math.Round(x*100)/100+0, 'f', -1, 64)
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

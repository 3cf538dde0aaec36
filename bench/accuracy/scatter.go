package accuracy

import (
	"fmt"
	"io"
	"time"

	"github.com/chiron-faas/chiron/internal/svg"
)

// The scatter plot's measures, pixels.
const (
	panel       = 380.0 // side of a panel
	panelLeft   = 64.0
	panelTop    = 78.0
	panelGap    = 84.0
	panelBottom = 84.0
	dot         = 2.6
)

// band is the error that the lines beside the diagonal show.
const band = 0.1

// WriteScatter draws every placement, measured over predicted, of this program's
// model and of the paper's where there is one.
func (r *Report) WriteScatter(out io.Writer) error {
	models := []predictor{own()}
	for _, y := range yardsticks(r.rows()) {
		if y.name == paperModel {
			models = append(models, y)
		}
	}
	longest := time.Millisecond
	for _, row := range r.rows() {
		longest = max(longest, row.Measured)
		for _, m := range models {
			longest = max(longest, m.latency(row))
		}
	}
	n := float64(len(models))
	width := panelLeft + n*panel + (n-1)*panelGap + 24
	picture := svg.New(width, panelTop+panel+panelBottom, "Measured latency over the predicted one")
	for i, m := range models {
		d := scatter{picture: picture, model: m, longest: float64(longest) * 1.04, left: panelLeft + float64(i)*(panel+panelGap)}
		d.axes(fmt.Sprintf("%s: mean error %.1f %%", m.name, 100*summarise(r.rows(), m).Mean))
		colour := 0
		for k := range r.Workflows {
			if w := &r.Workflows[k]; len(w.Rows) > 0 && !w.switching() {
				d.points(w, colour)
				colour++
			}
		}
	}
	x := panelLeft
	colour := 0
	for k := range r.Workflows {
		if w := &r.Workflows[k]; len(w.Rows) > 0 && !w.switching() {
			y := panelTop + panel + 62
			picture.Circle(svg.Point{X: x + 4, Y: y - 4}, 4, svg.Fill(colour), "")
			picture.Text(svg.Point{X: x + 14, Y: y}, w.Name, svg.Label)
			x += 90
			colour++
		}
	}
	return picture.Encode(out)
}

// scatter is one panel.
type scatter struct {
	picture *svg.Picture
	model   predictor
	longest float64 // ns, of both axes
	left    float64
}

func (s *scatter) at(predicted, measured float64) svg.Point {
	return svg.Point{X: s.left + predicted/s.longest*panel, Y: panelTop + panel - measured/s.longest*panel}
}

func (s *scatter) axes(title string) {
	s.picture.Text(svg.Point{X: s.left, Y: 24}, title, svg.Title)
	s.picture.Text(svg.Point{X: s.left, Y: 44}, fmt.Sprintf("the lines are errors of 0 and of about ±%.0f %%", 100*band), svg.Dim)
	for _, v := range svg.Ticks(0, s.longest, 6) {
		label := fmt.Sprintf("%g", v/1e6)
		s.picture.Line(s.at(v, 0), s.at(v, s.longest), svg.Grid)
		s.picture.Line(s.at(0, v), s.at(s.longest, v), svg.Grid)
		below, beside := s.at(v, 0), s.at(0, v)
		s.picture.Text(svg.Point{X: below.X, Y: below.Y + 16}, label, svg.Dim+" "+svg.Middle)
		s.picture.Text(svg.Point{X: beside.X - 6, Y: beside.Y + 4}, label, svg.Dim+" "+svg.End)
	}
	s.picture.Line(s.at(0, 0), s.at(s.longest, s.longest), svg.Axis)
	s.picture.Line(s.at(0, 0), s.at(s.longest, s.longest/(1+band)), svg.Grid)
	s.picture.Line(s.at(0, 0), s.at(s.longest/(1+band), s.longest), svg.Grid)
	middle := s.at(s.longest/2, 0)
	s.picture.Text(svg.Point{X: middle.X, Y: middle.Y + 36}, "predicted, ms", svg.Label+" "+svg.Middle)
	s.picture.Text(svg.Point{X: s.left - 48, Y: panelTop - 6}, "measured, ms", svg.Label)
}

func (s *scatter) points(w *Workflow, colour int) {
	for _, row := range w.Rows {
		if p := s.model.latency(row); p > 0 {
			s.picture.Circle(s.at(float64(p), float64(row.Measured)), dot, svg.Fill(colour),
				fmt.Sprintf("%s, %d CPUs, %s: predicted %.1f ms, measured %.1f ms", w.Name, row.CPUs, row.Name, ms(p), ms(row.Measured)))
		}
	}
}

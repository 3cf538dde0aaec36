package svg

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encoded(t *testing.T, p *Picture) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wellFormed counts a text's elements by name, and collects what stands in them.
func wellFormed(t *testing.T, text string) (count map[string]int, inside []string) {
	t.Helper()
	count = map[string]int{}
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return count, inside
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
		case xml.CharData:
			inside = append(inside, string(token))
		}
	}
}

func TestPicture(t *testing.T) {
	p := New(300, 200, `a "b" <c> & d`)
	p.Rect(1, 2, 30, 40, Fill(0), "5 < 6 & more")
	p.Circle(Point{1.234567, 2}, 3, Fill(Colours+1), "")
	p.Line(Point{0, 0}, Point{1, 1}, Grid)
	p.Polyline([]Point{{0, 0}, {1, 2}, {3, math.NaN()}}, Stroke(2))
	p.Text(Point{5, 6}, "</text><script>", Label+" "+End)
	text := encoded(t, p)
	count, inside := wellFormed(t, text)
	want := map[string]int{"svg": 1, "title": 2, "style": 1, "rect": 2, "circle": 1, "line": 1, "polyline": 1, "text": 1}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
	all := strings.Join(inside, "\n")
	for _, s := range []string{`a "b" <c> & d`, "5 < 6 & more", "</text><script>", "prefers-color-scheme:dark"} {
		if !strings.Contains(all, s) {
			t.Errorf("the text %q is lost", s)
		}
	}
	for _, s := range []string{`viewBox="0 0 300 200"`, `cx="1.23"`, `class="fill1"`, `points="0,0 1,2 3,0"`, `class="label end"`} {
		if !strings.Contains(text, s) {
			t.Errorf("the picture lacks %s:\n%s", s, text)
		}
	}
	if text != encoded(t, p) {
		t.Error("the same picture is written differently")
	}
}

func TestScale(t *testing.T) {
	s := Scale{From: 10, To: 20, FromPixel: 100, ToPixel: 0}
	for value, want := range map[float64]float64{10: 100, 20: 0, 15: 50, 25: -50} {
		if got := s.At(value); got != want {
			t.Errorf("%g is at %g, want %g", value, got, want)
		}
	}
	if got := (Scale{From: 1, To: 1, FromPixel: 7, ToPixel: 9}).At(3); got != 7 {
		t.Errorf("a scale of no length: %g", got)
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		n         int
		want      []float64
	}{
		{0, 10, 5, []float64{0, 2, 4, 6, 8, 10}},
		{0, 1, 5, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{0, 123, 4, []float64{0, 50, 100}},
		{-3, 3, 6, []float64{-3, -2, -1, 0, 1, 2, 3}},
		{5, 5, 4, []float64{5}},
		{0, math.Inf(1), 4, []float64{0}},
	} {
		got := Ticks(test.low, test.high, test.n)
		if len(got) != len(test.want) {
			t.Errorf("%g to %g: %v, want %v", test.low, test.high, got, test.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-test.want[i]) > 1e-9 {
				t.Errorf("%g to %g: %v, want %v", test.low, test.high, got, test.want)
			}
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add("a", "b", 1.0, 2.0)
	f.Add("\x00<&\"", "]]>", math.Inf(-1), math.NaN())
	f.Fuzz(func(t *testing.T, title, text string, x, y float64) {
		p := New(x, y, title)
		p.Rect(x, y, x, y, Fill(1), text)
		p.Text(Point{x, y}, text, Label)
		p.Polyline([]Point{{x, y}}, Stroke(0))
		wellFormed(t, encoded(t, p))
		if ticks := Ticks(x, y, 5); len(ticks) > 20 {
			t.Errorf("%d ticks from %g to %g", len(ticks), x, y)
		}
	})
}

package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan/pgp"
)

func TestSVG(t *testing.T) {
	points := []pgp.Point{
		{CPUs: 1, Memory: 40e6, Money: 1.5, Latency: 90 * time.Millisecond},
		{CPUs: 2, Memory: 60e6, Money: 2.25, Latency: 50 * time.Millisecond, Meets: true},
	}
	var b bytes.Buffer
	if err := SVG(&b, "a & b", points, 70*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"2 CPUs, 50.0 ms, 60.0 MB, 2.25 USD", "SLO 70ms", "a &amp; b"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "<circle"); n != len(points) {
		t.Errorf("%d points, want %d", n, len(points))
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := SVG(io.Discard, "none", nil, 0); err != nil {
		t.Error(err)
	}
}

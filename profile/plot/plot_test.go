package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
)

var update = flag.Bool("update", false, "write testdata anew")

const unit = time.Millisecond

func sample() *profile.Profile {
	stat := func(mean, sd time.Duration) profile.Stat {
		return profile.Stat{Mean: mean, StdDev: sd, Min: mean, P50: mean, P99: mean, Max: mean}
	}
	return &profile.Profile{Workflow: "orders <&>", Functions: []profile.Function{
		{
			Name: "check", Tasks: []string{"A", "B"}, Wall: stat(42*unit, 3*unit),
			Periods: []profile.Period{
				{Class: profile.CPU, Mean: 10 * unit, StdDev: unit},
				{Class: profile.Native, Mean: 20 * unit, StdDev: 2 * unit},
				{Class: profile.Block, Cause: "clock_nanosleep", Mean: 12 * unit, StdDev: unit / 100},
			},
		},
		{
			Name: "a-function-with-quite-a-long-name-that-somebody-chose", Tasks: []string{"C"}, Wall: stat(12*unit, unit/2),
			Periods: []profile.Period{
				{Class: profile.CPU, Mean: 100 * time.Microsecond},
				{Class: profile.Block, Cause: "read", Mean: 10 * unit, StdDev: unit / 2},
				{Class: profile.CPU, Mean: 1900 * time.Microsecond},
			},
		},
		{Name: "tiny", Tasks: []string{"D"}, Wall: stat(150*time.Microsecond, 20*time.Microsecond), Periods: []profile.Period{{Class: profile.CPU, Mean: 150 * time.Microsecond, StdDev: 20 * time.Microsecond}}},
		{Name: "nothing", Tasks: []string{"E"}, Periods: []profile.Period{{Class: profile.CPU}}},
	}}
}

func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := SVG(&b, sample()); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"orders &lt;&amp;&gt;", "check ×2", "a-function-with-quite-a-l…", "clock_nanosleep 12.0 ms", "42.0 ms ± 3.00 ms",
		"check, period 2: native 20.0 ms ± 2.00 ms", "0.150 ms ± 0.020 ms   (drawn ×100)", "block (read)",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	file := filepath.Join("testdata", "profile.svg")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(kept, b.Bytes()) {
		t.Errorf("%s is another picture (%v): look at the new one, then go test ./profile/plot -update", file, err)
	}
}

// No function, and times of 0, are drawn too.
func TestSVGOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := SVG(&b, &profile.Profile{Workflow: "none"}); err != nil || !strings.HasSuffix(b.String(), "</svg>\n") {
		t.Errorf("%v: %s", err, b.String())
	}
}

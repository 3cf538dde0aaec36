package predicttest

import (
	_ "embed"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
)

//go:embed testdata/published.txt
var published string

// Published returns the periods of a function that the paper's authors measured
// and published with their artifact, such as "network-io".
func Published(t testing.TB, function string) []profile.Period {
	t.Helper()
	for line := range strings.Lines(published) {
		fields := strings.Fields(line)
		if fields[0] != function {
			continue
		}
		number := func(text string) time.Duration {
			ms, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%s: %v", function, err)
			}
			return time.Duration(math.Round(ms * 1e6))
		}
		var periods []profile.Period
		now := time.Duration(0)
		for _, block := range fields[2:] {
			begin, length, _ := strings.Cut(block, "+")
			periods = append(periods,
				profile.Period{Class: profile.CPU, Mean: number(begin) - now},
				profile.Period{Class: profile.Block, Mean: number(length)})
			now = number(begin) + number(length)
		}
		return append(periods, profile.Period{Class: profile.CPU, Mean: number(fields[1]) - now})
	}
	t.Fatalf("nobody published a function %q", function)
	return nil
}

package calibrate

import (
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

func TestSeen(t *testing.T) {
	c := predict.Paper()
	got, err := Seen(&c, []Calls{{Seen: 30, Overhead: 2 * time.Millisecond}, {Seen: 10, Overhead: 6 * time.Millisecond}, {}})
	if err != nil {
		t.Fatal(err)
	}
	if got.RPC != 3*time.Millisecond || c.RPC != predict.Paper().RPC {
		t.Errorf("T_RPC %v, and of the one before %v", got.RPC, c.RPC)
	}
	if got.RPC = c.RPC; got.Startup != c.Startup || got.INV != c.INV || got.SwitchInterval != c.SwitchInterval {
		t.Errorf("more than T_RPC has changed: %+v", got)
	}
	for part, calls := range map[string][]Calls{
		"calls no other": nil, "19 calls": {{Seen: LeastSeen - 1, Overhead: time.Millisecond}}, "over a minute": {{Seen: 99, Overhead: time.Hour}},
	} {
		if _, err := Seen(&c, calls); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q", err, part)
		}
	}
}

package wrap

import (
	"net/http"
	"testing"
	"time"
)

func TestOverheads(t *testing.T) {
	var o overheads
	if s := o.stats("w"); s.Wrap != "w" || s.Calls != 0 || s.Seen != 0 || s.OverheadUS != 0 {
		t.Errorf("nothing seen: %+v", s)
	}
	o.add(time.Millisecond, 2*time.Millisecond) // clocks differ: never less than nothing
	if s := o.stats("w"); s.Calls != 1 || s.OverheadUS != 0 {
		t.Errorf("%+v", s)
	}
	o.add(9*time.Millisecond, 2*time.Millisecond)
	if s := o.stats("w"); s.P99US != 7000 || s.OverheadUS != 3500 {
		t.Errorf("of two: %+v", s)
	}
	// A lost packet among many does not decide, and shows at the end.
	o = overheads{}
	for n := range 100 {
		took := 3 * time.Millisecond
		if n%50 == 0 {
			took = time.Second
		}
		o.add(took, 2*time.Millisecond)
	}
	if s := o.stats("w"); s.OverheadUS != 1000 || s.MedianUS != 1000 || s.P99US < 900_000 {
		t.Errorf("%+v", s)
	}
	// What has been is forgotten.
	for range keptOverheads {
		o.add(9*time.Millisecond, 2*time.Millisecond)
	}
	if s := o.stats("w"); s.Calls != 100+keptOverheads || s.Seen != keptOverheads || s.OverheadUS != 7000 || s.P99US != 7000 {
		t.Errorf("%+v", s)
	}
}

func TestWorked(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   time.Duration
		told   bool
	}{
		{nil, 0, false},
		{[]string{"x"}, 0, false},
		{[]string{"0.002000"}, 2 * time.Millisecond, true},
		{[]string{"0.005", "0.002"}, 2 * time.Millisecond, true},
		{[]string{"", "0.005"}, 5 * time.Millisecond, true},
	} {
		if got, told := worked(http.Header{headerDuration: c.values}); got != c.want || told != c.told {
			t.Errorf("%v: %v, %v", c.values, got, told)
		}
	}
}

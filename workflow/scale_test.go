package workflow

import "testing"

func TestParseInstances(t *testing.T) {
	for text, want := range map[string][2]int{"1": {1, 1}, "3": {3, 3}, "0..4": {0, 4}, "2..2": {2, 2}} {
		least, most, err := ParseInstances(text)
		if err != nil || least != want[0] || most != want[1] {
			t.Errorf("%q: %d to %d, %v", text, least, most, err)
		}
	}
	for _, text := range []string{"", "many", "0", "0..0", "3..2", "-1..2", "1..1001", "1..", "..3", "1...3"} {
		if least, most, err := ParseInstances(text); err == nil {
			t.Errorf("%q was read as %d to %d", text, least, most)
		}
	}
}

func TestScaleOfAProject(t *testing.T) {
	for text, want := range map[string]Scale{
		"":                         {},
		"scale: {concurrency: 16}": {Concurrency: 16},
		"scale: {instances: 3}":    {Least: 3, Most: 3},
		"scale: {instances: 0..4, idle: 30s, concurrency: 7}": {Concurrency: 7, Least: 0, Most: 4, Idle: 30e9},
	} {
		p, err := Load(ruled(t, text+"\n"))
		if err != nil || p.Scale != want {
			t.Errorf("%q: %+v, %v; want %+v", text, p.Scale, err, want)
		}
	}
}

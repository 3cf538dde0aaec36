package runtime

import (
	"strings"
	"testing"
)

// Two functions of the second stage overlap, one waits for the other's end.
func TestDivide(t *testing.T) {
	spans := []span{{0, 100, 110}, {1, 200, 250}, {1, 210, 270}, {1, 300, 310}, {2, 400, 401}}
	if got := critical(spans); got != 10+10+1 {
		t.Errorf("the functions that ended last took %d", got)
	}
	if got := covered(spans); got != 10+70+10+1 {
		t.Errorf("functions ran for %d", got)
	}
}

func TestParseSpans(t *testing.T) {
	const whole = `{"spans":[[0,10,11],[1,12,13],[1,12,13],[1,12,13],[1,12,14],[2,15,16],[2,15,16],[2,15,16],[2,15,16],[3,17,18]]}`
	if spans, err := parseSpans([]byte(whole), 9, 19); err != nil || len(spans) != 10 {
		t.Errorf("%d spans, %v", len(spans), err)
	}
	for what, body := range map[string]string{
		"one function is missing":     strings.Replace(whole, "[2,15,16],", "", 1),
		"one ran twice":               strings.Replace(whole, "[3,", "[3,17,18],[3,", 1),
		"one ran before the request":  strings.Replace(whole, "[0,10,", "[0,8,", 1),
		"one ran after the answer":    strings.Replace(whole, "17,18]", "17,20]", 1),
		"one ended before it began":   strings.Replace(whole, "12,14", "12,11", 1),
		"a stage that there is not":   strings.Replace(whole, "[3,", "[4,", 1),
		"an answer of something else": `"done"`,
	} {
		if _, err := parseSpans([]byte(body), 9, 19); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

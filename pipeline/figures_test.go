package pipeline

import (
	"encoding/json"
	"testing"
	"time"
)

func TestMillis(t *testing.T) {
	in := struct {
		X Millis `json:"x_ms"`
	}{Millis(1234567 * time.Nanosecond)}
	data, err := json.Marshal(in)
	if err != nil || string(data) != `{"x_ms":1.234567}` {
		t.Fatalf("%s, %v", data, err)
	}
	out := in
	out.X = 0
	if err := json.Unmarshal(data, &out); err != nil || out != in {
		t.Errorf("%v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"x_ms":"1"}`), &out); err == nil {
		t.Error("a text was read as a number")
	}
}

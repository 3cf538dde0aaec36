package local

import (
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
)

func TestAgentOutput(t *testing.T) {
	var got []deploy.LogLine
	log, err := logs.Open(filepath.Join(t.TempDir(), "w.log"), func(l deploy.LogLine) { got = append(got, l) })
	if err != nil {
		t.Fatal(err)
	}
	o := newAgentOutput(log, "w")
	// Writes end anywhere, and the last line may have no end.
	for _, part := range []string{
		`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"he`, `llo","function":"f","request_id":"r","stream":"stdout"}` + "\n\n",
		`{"level":"ERROR","msg":"last word","left":3}` + "\n" + `{"level":"ERROR","msg":"a function's","function":"f"}` + "\n", "panic: bare",
	} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, len(part), err)
		}
	}
	if o.lastError() != "last word" {
		t.Errorf("last error %q: a function's is not the agent's", o.lastError())
	}
	o.End()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	if l := got[0]; l.Text != "hello" || l.Function != "f" || l.RequestID != "r" || l.Stream != "stdout" || l.Time.Year() != 2026 || l.Attrs != nil {
		t.Errorf("line %+v", l)
	}
	if l := got[1]; string(l.Attrs) != `{"left":3}` {
		t.Errorf("attributes %s", l.Attrs)
	}
	if l := got[3]; l.Text != "panic: bare" || l.Level != "ERROR" || o.lastError() != l.Text {
		t.Errorf("line %+v", l)
	}
}

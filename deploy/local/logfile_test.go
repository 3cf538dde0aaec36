package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/deploy"
)

func TestAgentOutput(t *testing.T) {
	var got []deploy.LogLine
	log, err := openLog(filepath.Join(t.TempDir(), "w.log"), func(l deploy.LogLine) { got = append(got, l) }, "w")
	if err != nil {
		t.Fatal(err)
	}
	o := &agentOutput{log: log}
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
	o.end()
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

// TestRotation: a log keeps to its size, and who follows it misses nothing.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.log")
	log, err := openLog(path, nil, "w")
	if err != nil {
		t.Fatal(err)
	}
	r := &logReader{path: path}
	defer r.close()
	long := strings.Repeat("x", 1<<20)
	seen := 0
	const lines = 20
	for range lines {
		log.add(deploy.LogLine{Wrap: "w", Text: long})
		seen += len(r.read(deploy.LogOptions{}))
	}
	if seen != lines {
		t.Errorf("the follower saw %d of %d lines", seen, lines)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > maxLogFile {
			t.Errorf("%s: %v, %v: over %d bytes", p, info, err, maxLogFile)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("files %v, %v, want the log and one older", entries, err)
	}
}

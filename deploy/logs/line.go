package logs

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// Lines cuts what a process prints into lines. It is an io.Writer for one stream.
type Lines struct {
	// Take is called with each line that is not empty, one after the other; it must
	// not keep it. A line longer than 2 MiB is cut there.
	Take func(line []byte)

	mu      sync.Mutex
	partial []byte // guarded by mu
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := p
	for {
		line, more, found := bytes.Cut(rest, []byte("\n"))
		if room := maxLine - len(l.partial); len(line) > room {
			line = line[:max(0, room)]
		}
		l.partial = append(l.partial, line...)
		if !found {
			return len(p), nil
		}
		l.take()
		rest = more
	}
}

// End takes an unfinished last line.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take()
}

// take hands on the partial line as a whole one. l.mu is held.
func (l *Lines) take() {
	if len(l.partial) > 0 {
		l.Take(l.partial)
	}
	l.partial = l.partial[:0]
}

// Agents reads a line as an agent writes it, among others that a container prints;
// false: it is none.
func Agents(data []byte) (line deploy.LogLine, ok bool) {
	var own struct {
		Time      time.Time `json:"time"`
		Level     string    `json:"level"`
		Function  string    `json:"function"`
		RequestID string    `json:"request_id"`
		Stream    string    `json:"stream"`
		Text      *string   `json:"msg"`
	}
	if json.Unmarshal(data, &own) != nil || own.Text == nil {
		return deploy.LogLine{}, false
	}
	return deploy.LogLine{Time: own.Time, Level: own.Level, Function: own.Function, RequestID: own.RequestID, Stream: own.Stream, Text: *own.Text}, true
}

// Newest sorts lines by their times and keeps the last of them, as
// deploy.LogOptions.Tail says.
func Newest(lines []deploy.LogLine, tail int) []deploy.LogLine {
	slices.SortStableFunc(lines, func(a, b deploy.LogLine) int { return a.Time.Compare(b.Time) })
	switch {
	case tail < 0:
		return nil
	case tail > 0 && len(lines) > tail:
		return lines[len(lines)-tail:]
	}
	return lines
}

// Parse reads a line of log/slog's JSON handler. What is no such line is an
// error's text.
func Parse(data []byte, wrap string) deploy.LogLine {
	line := deploy.LogLine{Time: time.Now(), Wrap: wrap, Level: "ERROR"}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		line.Text = string(data)
		return line
	}
	for key, to := range map[string]any{
		"time": &line.Time, "level": &line.Level, "msg": &line.Text,
		"function": &line.Function, "request_id": &line.RequestID, "stream": &line.Stream,
	} {
		if v, ok := fields[key]; ok && json.Unmarshal(v, to) == nil {
			delete(fields, key)
		}
	}
	delete(fields, "wrap")
	if len(fields) > 0 {
		line.Attrs, _ = json.Marshal(fields) // of what was unmarshalled
	}
	return line
}

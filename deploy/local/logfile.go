package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

const (
	// maxLogFile is the size at which a wrap's log is moved aside, bytes; one
	// older file is kept.
	maxLogFile = 8 << 20
	// maxLogLine bounds a line, bytes; host cuts what functions print at less.
	maxLogLine = 2 << 20
)

// logFile keeps what one wrap logs: a deploy.LogLine as JSON each line.
type logFile struct {
	path string
	wrap string
	live func(deploy.LogLine) // nil: nobody listens

	mu   sync.Mutex
	file *os.File // guarded by mu
	size int64    // guarded by mu
}

func openLog(path string, live func(deploy.LogLine), wrap string) (*logFile, error) {
	l := &logFile{path: path, wrap: wrap, live: live}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// add appends a line. A disk that is full costs log lines, nothing else.
func (l *logFile) add(line deploy.LogLine) {
	if l.live != nil {
		l.live(line)
	}
	data, err := json.Marshal(line)
	if err != nil {
		return
	}
	data = append(data, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	if l.size > 0 && l.size+int64(len(data)) > maxLogFile {
		_ = l.file.Close()
		l.file = nil
		if err := os.Rename(l.path, l.path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
		if l.open() != nil {
			return
		}
	}
	n, _ := l.file.Write(data)
	l.size += int64(n)
}

// Close ends the log.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// agentOutput takes an agent's standard error: a JSON object a line, or what the
// Go runtime has to say when it ends in an unforeseen way.
type agentOutput struct {
	log *logFile

	mu      sync.Mutex
	partial []byte // guarded by mu
	last    string // message of the last error; guarded by mu
}

// Write implements io.Writer.
func (o *agentOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := p
	for {
		line, more, found := bytes.Cut(rest, []byte("\n"))
		if room := maxLogLine - len(o.partial); len(line) > room {
			line = line[:max(0, room)]
		}
		o.partial = append(o.partial, line...)
		if !found {
			return len(p), nil
		}
		o.take()
		rest = more
	}
}

// end takes an unfinished last line.
func (o *agentOutput) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take()
}

// take works on the partial line as a whole one. o.mu is held.
func (o *agentOutput) take() {
	if len(o.partial) == 0 {
		return
	}
	line := parseLine(o.partial, o.log.wrap)
	o.partial = o.partial[:0]
	if line.Level == "ERROR" && line.Function == "" {
		o.last = line.Text
	}
	o.log.add(line)
}

// lastError is the message of the last error that the agent logged.
func (o *agentOutput) lastError() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// parseLine reads a line of log/slog's JSON handler. What is no such line is an
// error's text.
func parseLine(data []byte, wrap string) deploy.LogLine {
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

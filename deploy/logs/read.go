package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// followEvery is how often a log that is followed is looked at.
const followEvery = 100 * time.Millisecond

// Ending is the end of the names of a folder's logs. What stands before the first
// dot is the wrap's name.
const Ending = ".log"

// Read calls emit for the lines of a folder's logs, oldest first, as
// deploy.Target.Logs says. over says that nothing more will be written.
func Read(ctx context.Context, dir string, o deploy.LogOptions, over func() bool, emit func(deploy.LogLine) error) error {
	var readers []*reader
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	var past []deploy.LogLine
	readers = newReaders(dir, o, readers)
	for _, r := range readers {
		older := &reader{path: r.path + ".1"}
		past = append(past, older.read(o)...)
		older.close()
		past = append(past, r.read(o)...)
	}
	for _, line := range Newest(past, o.Tail) {
		if err := emit(line); err != nil {
			return err
		}
	}
	for o.Follow {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
		// Asked before reading: what was written until then is read below, from
		// files that may have been removed since.
		last := over()
		var lines []deploy.LogLine
		readers = newReaders(dir, o, readers) // of instances that came up since
		for _, r := range readers {
			lines = append(lines, r.read(o)...)
		}
		for _, line := range Newest(lines, 0) {
			if err := emit(line); err != nil {
				return err
			}
		}
		if last {
			return nil // taken down, or its keeper was killed: nothing more comes
		}
	}
	return nil
}

// newReaders adds a reader for every log that the options ask for and that has none.
func newReaders(dir string, o deploy.LogOptions, readers []*reader) []*reader {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+Ending)) // fails only for a bad pattern
	for _, path := range paths {
		wrap, _, _ := strings.Cut(filepath.Base(path), ".") // of whichever instance
		known := slices.ContainsFunc(readers, func(r *reader) bool { return r.path == path })
		if !known && (len(o.Wraps) == 0 || slices.Contains(o.Wraps, wrap)) {
			readers = append(readers, &reader{path: path})
		}
	}
	return readers
}

// reader reads a log as it grows, and its successor when it is moved aside.
type reader struct {
	path    string
	file    *os.File
	partial []byte
}

// read returns the lines since the last read that the options ask for.
func (r *reader) read(o deploy.LogOptions) []deploy.LogLine {
	var lines []deploy.LogLine
	for {
		if r.file == nil {
			f, err := os.Open(r.path)
			if err != nil {
				return lines
			}
			r.file, r.partial = f, nil
		}
		if lines = r.rest(lines, o); r.file == nil {
			return lines
		}
		ours, err1 := r.file.Stat()
		there, err2 := os.Stat(r.path)
		if err1 != nil || err2 != nil || os.SameFile(ours, there) {
			return lines
		}
		if lines = r.rest(lines, o); r.file == nil { // what was written between the two looks
			return lines
		}
		r.close()
	}
}

func (r *reader) rest(lines []deploy.LogLine, o deploy.LogOptions) []deploy.LogLine {
	b := bufio.NewReader(r.file)
	for {
		chunk, err := b.ReadBytes('\n')
		r.partial = append(r.partial, chunk...)
		if err != nil { // io.EOF: the rest of a line may come
			if !errors.Is(err, io.EOF) {
				r.close()
			}
			return lines
		}
		var line deploy.LogLine
		if json.Unmarshal(bytes.TrimSpace(r.partial), &line) == nil && asked(line, o) {
			lines = append(lines, line)
		}
		r.partial = r.partial[:0]
	}
}

func asked(line deploy.LogLine, o deploy.LogOptions) bool {
	return (o.Function == "" || line.Function == o.Function) && (o.Since.IsZero() || !line.Time.Before(o.Since))
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

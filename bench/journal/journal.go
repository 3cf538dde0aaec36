// Package journal keeps what an experiment measures in a file, a JSON object a
// line, appended as they come: a run that is interrupted at any moment goes on
// with what is there.
package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is the name of a journal in its run's folder.
const File = "measured.jsonl"

// maxLine bounds a line, maxFile the whole, bytes.
const (
	maxLine = 256 << 20
	maxFile = 1 << 34
)

// Read gives every line of a folder's journal to take. Where the last line was cut
// short, because the program was killed while it wrote, that line is left out;
// complete is where what was read ends. Where there is no journal, the error is
// fs.ErrNotExist.
func Read(dir string, take func(line []byte) error) (complete int64, err error) {
	name := filepath.Join(dir, File)
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(io.LimitReader(f, maxFile), 1<<20)
	for number := 1; ; number++ {
		data, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return complete, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if len(data) > maxLine {
			return 0, fmt.Errorf("%s: line %d has more than %d MB", name, number, maxLine>>20)
		}
		if err := take(data); err != nil {
			return 0, fmt.Errorf("%s: line %d: %w", name, number, err)
		}
		complete += int64(len(data))
	}
}

// Decode reads a line into v: one object, without keys that v does not have.
func Decode(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its object")
	}
	return nil
}

// Writer appends to a journal.
type Writer struct{ file *os.File }

// Open makes a run's folder where it is not there, gives what its journal holds to
// take, and returns a Writer behind that: what was cut short is written over.
func Open(dir string, take func(line []byte) error) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	complete, err := Read(dir, take)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, File), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(complete)
	if err == nil {
		_, err = f.Seek(complete, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Writer{file: f}, nil
}

// Write appends a line.
func (w *Writer) Write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.file.Write(append(data, '\n'))
	return err
}

// Close ends it.
func (w *Writer) Close() error { return w.file.Close() }

package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/chiron-faas/chiron/deploy"
)

const (
	// maxFile is the size at which a wrap's log is moved aside, bytes; one older
	// file is kept.
	maxFile = 8 << 20
	// maxLine bounds a line, bytes; host cuts what functions print at less.
	maxLine = 2 << 20
)

// File keeps what one wrap logs: a deploy.LogLine as JSON each line.
type File struct {
	path string
	live func(deploy.LogLine) // nil: nobody listens

	mu   sync.Mutex
	file *os.File // guarded by mu
	size int64    // guarded by mu
}

// Open opens a wrap's log, or makes it. live, when it is set, is told each line
// too.
func Open(path string, live func(deploy.LogLine)) (*File, error) {
	l := &File{path: path, live: live}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *File) open() error {
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

// Add appends a line. A disk that is full costs log lines, nothing else.
func (l *File) Add(line deploy.LogLine) {
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
	if l.size > 0 && l.size+int64(len(data)) > maxFile {
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
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

package touched

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// maxEntries bounds how much of a working folder is looked at.
const maxEntries = 20000

// mark is what changes when a file is written.
type mark struct {
	size    int64
	changed time.Time
}

// Folder is what a folder held at one moment.
type Folder struct {
	files map[string]mark
	cut   bool // the folder holds more than maxEntries
}

// Look looks at a folder; of "" nothing is held.
func Look(dir string) Folder {
	s := Folder{files: map[string]mark{}}
	if dir == "" {
		return s
	}
	// What cannot be read is left out: the folder belongs to the function,
	// which may change it meanwhile.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if len(s.files) >= maxEntries {
			s.cut = true
			return filepath.SkipAll
		}
		if d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			s.files[path] = mark{info.Size(), info.ModTime()}
		}
		return nil
	})
	return s
}

// Changed lists files that are new, gone or different in after, sorted.
func (s Folder) Changed(after Folder) []string {
	var names []string
	for name, now := range after.files {
		if before, ok := s.files[name]; !ok || before != now {
			names = append(names, name)
		}
	}
	for name := range s.files {
		if _, ok := after.files[name]; !ok && !after.cut {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Note says where written files were looked for, between two looks.
func (s Folder) Note(after Folder) string {
	where := "only changes in the working folder were looked for"
	if s.cut || after.cut {
		where = fmt.Sprintf("only changes among the first %d files of the working folder were looked for", maxEntries)
	}
	return "files: " + where + "; no tracer saw what it writes elsewhere, nor its sockets"
}

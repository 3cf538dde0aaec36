package touched

import (
	"path"
	"slices"
	"strings"
)

// Files are the files that a function's runs touched. The zero Files are none.
type Files struct {
	uses map[string]*use
}

// use is how the runs treated one file.
type use struct {
	runs map[int]bool // in which it was written
	// scratch: every time it was made by a call that fails where the file
	// exists, or was removed in the run that made it.
	made, scratch int
}

func (f *Files) of(run int, name string) *use {
	u := f.uses[name]
	if u == nil {
		u = &use{runs: map[int]bool{}}
		if name == "" {
			return u // no file: it is not kept
		}
		if f.uses == nil {
			f.uses = map[string]*use{}
		}
		f.uses[name] = u
	}
	u.runs[run] = true
	return u
}

// Opened notes a file that a run opened for writing; exclusive: by a call that
// fails where the file exists.
func (f *Files) Opened(run int, name string, exclusive bool) {
	u := f.of(run, name)
	u.made++
	if exclusive {
		u.scratch++
	}
}

// Changed notes a file or folder that a run made, renamed or cut by name.
func (f *Files) Changed(run int, name string) { f.of(run, name) }

// Removed notes a file that a run removed.
func (f *Files) Removed(run int, name string) {
	had := f.uses[name] != nil && f.uses[name].runs[run]
	if u := f.of(run, name); had && u.made > u.scratch {
		u.scratch++
	}
}

// List is what was written, sorted. Files that only one run touched and that it
// made afresh under a name that was free, or removed again, are left out: a
// temporary file, under another name in every run.
func (f *Files) List() []string {
	var out []string
	for name, u := range f.uses {
		if len(u.runs) > 1 || u.scratch < u.made || u.made == 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Absolute resolves a path against a working folder. Devices, the kernel's own
// files, and what is no file (a pipe, a socket) are "".
func Absolute(dir, name string) string {
	if name == "" || strings.Contains(name, ":[") || strings.HasPrefix(name, "anon_inode:") {
		return ""
	}
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	name = path.Clean(name)
	for _, special := range []string{"/dev/null", "/dev/tty", "/dev/pts/", "/dev/urandom", "/dev/random", "/dev/zero", "/dev/full", "/proc/", "/sys/"} {
		if strings.HasPrefix(name, special) {
			return ""
		}
	}
	return name
}

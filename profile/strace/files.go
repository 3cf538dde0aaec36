package strace

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// use is how the calls treated one file.
type use struct {
	runs map[int]bool // in which it was written
	// scratch: every time it was made by a call that fails where the file
	// exists, or was removed in the run that made it.
	made, scratch int
}

// filesOf lists the files that the process and its children wrote, made,
// renamed or removed since the first call, absolute and sorted. starts are the
// calls' beginnings. Files that only one run touched and that it made afresh
// under a name that was free, or removed again, are left out: a temporary file,
// under another name in every run.
func filesOf(all []record, starts []time.Duration, dir string) []string {
	files := map[string]*use{}
	for i := range all {
		c := &all[i]
		n, _ := slices.BinarySearch(starts, c.start+1)
		if n == 0 || c.failed() {
			continue
		}
		note(files, c, n, dir)
	}
	var out []string
	for name, u := range files {
		if len(u.runs) > 1 || u.scratch < u.made || u.made == 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func note(files map[string]*use, c *record, run int, dir string) {
	written := func(name string) *use {
		name = absolute(dir, name)
		if name == "" {
			return &use{runs: map[int]bool{}}
		}
		u := files[name]
		if u == nil {
			u = &use{runs: map[int]bool{}}
			files[name] = u
		}
		u.runs[run] = true
		return u
	}
	switch c.name {
	case "open", "openat", "openat2", "creat":
		if c.name != "creat" && !containsAny(c.args, "O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC") || strings.Contains(c.args, "O_TMPFILE") {
			return
		}
		u := written(decoded(c.result))
		u.made++
		if strings.Contains(c.args, "O_EXCL") {
			u.scratch++
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		for _, name := range paths(c.args) {
			written(name)
		}
	case "symlink", "symlinkat": // what it points to is not touched
		if names := paths(c.args); len(names) == 2 {
			written(names[1])
		}
	case "unlink", "unlinkat":
		for _, name := range paths(c.args) {
			if u := written(name); u.made > u.scratch && u.runs[run] {
				u.scratch++
			}
		}
	case "truncate", "mkdir", "mkdirat", "rmdir":
		for _, name := range paths(c.args) {
			written(name)
		}
	}
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// absolute resolves a path of the process against its working folder. Devices,
// the kernel's own files, and what is no file (a pipe, a socket) are "".
func absolute(dir, name string) string {
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

// decoded is the path that -y prints behind a descriptor: 5</tmp/x>.
func decoded(s string) string {
	_, rest := leadingInt(s)
	rest, ok := strings.CutPrefix(rest, "<")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, ">")
	if !ok {
		return ""
	}
	return unescape(strings.TrimSuffix(name, " (deleted)"))
}

// paths are the quoted strings among a call's arguments; one that follows a
// descriptor, AT_FDCWD</tmp> or 3</tmp>, is resolved against that folder.
func paths(args string) []string {
	var names []string
	folder := ""
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case '<':
			end := strings.IndexByte(args[i:], '>')
			if end < 0 {
				return names
			}
			folder = unescape(args[i+1 : i+end])
			i += end
		case '"':
			begin := i
			for i++; i < len(args) && args[i] != '"'; i++ {
				if args[i] == '\\' {
					i++
				}
			}
			if i >= len(args) {
				return names
			}
			name := unescape(args[begin+1 : i])
			if folder != "" && !path.IsAbs(name) {
				name = path.Join(folder, name)
			}
			names = append(names, name)
			folder = ""
		}
	}
	return names
}

// unescape undoes strace's quoting: C escapes with octal numbers.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := i
		for digits < len(s) && digits < i+3 && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
		if digits > i {
			if n, err := strconv.ParseUint(s[i:digits], 8, 8); err == nil {
				b.WriteByte(byte(n))
			}
			i = digits - 1
			continue
		}
		if at := strings.IndexByte(`abtnvfr`, s[i]); at >= 0 {
			b.WriteByte(byte(7 + at))
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

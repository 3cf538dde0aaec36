package strace

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/profile/touched"
)

// filesOf lists the files that the process and its children wrote, made,
// renamed or removed since the first call, absolute and sorted, but for
// temporary ones. starts are the calls' beginnings.
func filesOf(all []record, starts []time.Duration, dir string) []string {
	var files touched.Files
	for i := range all {
		c := &all[i]
		n, _ := slices.BinarySearch(starts, c.start+1)
		if n == 0 || c.failed() {
			continue
		}
		note(&files, c, n, dir)
	}
	return files.List()
}

func note(files *touched.Files, c *record, run int, dir string) {
	switch c.name {
	case "open", "openat", "openat2", "creat":
		if c.name != "creat" && !containsAny(c.args, "O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC") || strings.Contains(c.args, "O_TMPFILE") {
			return
		}
		files.Opened(run, touched.Absolute(dir, decoded(c.result)), strings.Contains(c.args, "O_EXCL"))
	case "rename", "renameat", "renameat2", "link", "linkat":
		for _, name := range paths(c.args) {
			files.Changed(run, touched.Absolute(dir, name))
		}
	case "symlink", "symlinkat": // what it points to is not touched
		if names := paths(c.args); len(names) == 2 {
			files.Changed(run, touched.Absolute(dir, names[1]))
		}
	case "unlink", "unlinkat":
		for _, name := range paths(c.args) {
			files.Removed(run, touched.Absolute(dir, name))
		}
	case "truncate", "mkdir", "mkdirat", "rmdir":
		for _, name := range paths(c.args) {
			files.Changed(run, touched.Absolute(dir, name))
		}
	}
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
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

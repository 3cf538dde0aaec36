package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// seen is what was found in a base's files.
type seen struct {
	// Pythons in the order of the image's PATH, then those elsewhere by path.
	Pythons []pythonIn `json:"pythons,omitempty"`
	Library *library   `json:"library,omitempty"`
}

// pythonIn is an interpreter in an image.
type pythonIn struct {
	// Path as it is called, which may be a link: a virtual environment's, say.
	Path string `json:"path"`
	// Version is complete where the files tell it: "3.11.9", "3.11".
	Version string `json:"version"`
	// OnPath says that a command of its name leads to it.
	OnPath bool `json:"onPath,omitempty"`
}

// find returns the interpreter that a function's runtime means in the image; its
// forms are host.FindInterpreter's.
func (s *seen) find(runtime string) (pythonIn, bool) {
	if strings.Contains(runtime, "/") {
		i := slices.IndexFunc(s.Pythons, func(p pythonIn) bool { return p.Path == runtime })
		if i < 0 {
			return pythonIn{}, false
		}
		return s.Pythons[i], true
	}
	version := strings.TrimPrefix(strings.TrimPrefix(runtime, "python"), "-")
	for _, p := range s.Pythons {
		if version == "" || version == "3" && p.OnPath || p.Version == version || strings.HasPrefix(p.Version, version+".") {
			return p, true
		}
	}
	return pythonIn{}, false
}

// versions of all interpreters, each once, for a message.
func (s *seen) versions() []string {
	var all []string
	for _, p := range s.Pythons {
		if !slices.Contains(all, p.Version) {
			all = append(all, p.Version)
		}
	}
	return all
}

// look finds the interpreters and the C library of an image. No file of it is run:
// it may be for another machine. What was found is remembered by the image.
func (b *builder) look(ctx context.Context, img v1.Image) (*seen, error) {
	// The configuration names the layers by what is in them.
	digest, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	key := keyOf("chiron look 1", digest.String())
	var found seen
	if b.store.recall("looked", key, &found) {
		return &found, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	files, err := readFiles(ctx, img)
	if err != nil {
		return nil, err
	}
	found = files.found(&config.Config)
	return &found, b.store.remember("looked", key, found)
}

// files are an image's files, as far as they matter here.
type files struct {
	links map[string]string // every symbolic link's target, by absolute path
	// pythons are executables of an interpreter's name, hard links too.
	pythons []string
	// full versions, by minor version, that executables and libraries hold.
	full    map[string]string
	library *library
}

var (
	pythonName  = regexp.MustCompile(`^python3?(\.\d+)?$`)
	pythonMinor = regexp.MustCompile(`^(?:lib)?python(3\.\d+)`)
	libpython   = regexp.MustCompile(`^libpython3\.\d+\.so\.\d`)
	libc        = regexp.MustCompile(`^(libc\.so\.6|libc-2\.\d+\.so|ld-musl-[^/]+\.so\.1|libc\.musl-[^/]+\.so\.1)$`)
	// PY_VERSION is a string of its own in the executable or its library, or, since
	// linkers merge strings, the end of one (of a prefix "/opt/python/3.11.7");
	// glibc's and musl's versions stand in what they print when they are run.
	// The pattern begins with what can be looked for quickly.
	pyVersion    = regexp.MustCompile(`3\.(\d+)\.\d+\+?\x00`)
	glibcVersion = regexp.MustCompile(`GNU C Library [^\n\x00]*release version (\d+)\.(\d+)`)
	muslVersion  = regexp.MustCompile(`\x00(1)\.(\d+)\.\d+\x00`)
)

// maxLooked is the most of one file that is read into memory, bytes: an
// interpreter's library has 10 MB.
const maxLooked = 64 << 20

func readFiles(ctx context.Context, img v1.Image) (*files, error) {
	f := &files{links: make(map[string]string), full: make(map[string]string)}
	stream := mutate.Extract(img)
	defer func() { _ = stream.Close() }()
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return nil, fmt.Errorf("read its files: %w", err)
		}
		if err := f.take(path.Clean("/"+h.Name), h, r); err != nil {
			return nil, fmt.Errorf("read its file %s: %w", h.Name, err)
		}
	}
}

func (f *files) take(name string, h *tar.Header, r io.Reader) error {
	file := path.Base(name)
	switch {
	case h.Typeflag == tar.TypeSymlink:
		f.links[name] = h.Linkname
		return nil
	case h.Typeflag == tar.TypeLink && pythonName.MatchString(file) && inBin(name):
		f.pythons = append(f.pythons, name)
		return nil
	case h.Typeflag != tar.TypeReg:
		return nil
	}
	isPython := pythonName.MatchString(file) && inBin(name) && h.Mode&0o111 != 0
	isLibrary := f.library == nil && libc.MatchString(file)
	if isPython {
		f.pythons = append(f.pythons, name)
	}
	if !isPython && !isLibrary && !libpython.MatchString(file) {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(r, maxLooked))
	if err != nil {
		return err
	}
	if isLibrary {
		f.library = libraryIn(file, data)
		return nil
	}
	for _, at := range pyVersion.FindAllIndex(data, -1) {
		version := strings.TrimRight(string(data[at[0]:at[1]]), "+\x00")
		minor := version[:strings.LastIndex(version, ".")]
		if named := pythonMinor.FindStringSubmatch(file); named != nil && named[1] != minor || at[0] == 0 {
			continue
		}
		before := data[at[0]-1]
		if before == 0 { // a string of its own
			f.full[minor] = version
			break
		}
		if f.full[minor] == "" && before != '.' && (before < '0' || before > '9') {
			f.full[minor] = version
		}
	}
	return nil
}

func inBin(name string) bool { return path.Base(path.Dir(name)) == "bin" }

func libraryIn(file string, data []byte) *library {
	pattern, musl := glibcVersion, false
	if strings.Contains(file, "musl") {
		pattern, musl = muslVersion, true
	}
	m := pattern.FindSubmatch(data)
	if m == nil {
		return nil
	}
	major, err1 := strconv.Atoi(string(m[1]))
	minor, err2 := strconv.Atoi(string(m[2]))
	if err1 != nil || err2 != nil || minor > 999 {
		return nil
	}
	return &library{Musl: musl, Major: major, Minor: minor}
}

// defaultPath is where commands are looked for in an image that does not say.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (f *files) found(config *v1.Config) seen {
	env := make(map[string]string)
	for _, e := range config.Env {
		if k, v, ok := strings.Cut(e, "="); ok {
			env[k] = v
		}
	}
	dirs := strings.Split(env["PATH"], ":")
	if env["PATH"] == "" {
		dirs = strings.Split(defaultPath, ":")
	}
	out := seen{Library: f.library}
	add := func(name string, onPath bool) {
		real, ok := f.resolve(name)
		if !ok || !slices.Contains(f.pythons, real) {
			return
		}
		known := slices.ContainsFunc(out.Pythons, func(p pythonIn) bool { return p.Path == name })
		version := f.version(real, env["PYTHON_VERSION"])
		if !known && version != "" {
			out.Pythons = append(out.Pythons, pythonIn{Path: name, Version: version, OnPath: onPath})
		}
	}
	for _, command := range append([]string{"python3", "python"}, f.commands()...) {
		for _, dir := range dirs {
			if path.IsAbs(dir) {
				add(path.Join(dir, command), true)
			}
		}
	}
	elsewhere := slices.Clone(f.pythons)
	for link := range f.links {
		if pythonName.MatchString(path.Base(link)) && inBin(link) {
			elsewhere = append(elsewhere, link)
		}
	}
	slices.Sort(elsewhere)
	for _, name := range elsewhere {
		add(name, false)
	}
	return out
}

// commands are the names with a version, "python3.11", the newest first.
func (f *files) commands() []string {
	var names []string
	for _, p := range f.pythons {
		if base := path.Base(p); pythonMinor.MatchString(base) && !slices.Contains(names, base) {
			names = append(names, base)
		}
	}
	minor := func(name string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(name, "python3."))
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return minor(b) - minor(a) })
	return names
}

// version of the executable at real: its name's, completed by what the files or
// the image's PYTHON_VERSION say; empty where nothing tells, or it is no CPython 3.
func (f *files) version(real, declared string) string {
	minor := ""
	if m := pythonMinor.FindStringSubmatch(path.Base(real)); m != nil {
		minor = m[1]
	} else if len(f.full) == 1 {
		for m := range f.full {
			minor = m
		}
	}
	switch {
	case minor == "":
		return ""
	case f.full[minor] != "":
		return f.full[minor]
	case strings.HasPrefix(declared, minor+"."):
		return declared
	}
	return minor
}

// maxLinks bounds the links on the way to a file, as Linux does (ELOOP).
const maxLinks = 40

// resolve follows the links of every folder on the way to a file.
func (f *files) resolve(name string) (string, bool) {
	todo := split(name)
	at := "/"
	for hops := 0; len(todo) > 0; {
		next := path.Join(at, todo[0])
		todo = todo[1:]
		target, isLink := f.links[next]
		if !isLink {
			at = next
			continue
		}
		if hops++; hops > maxLinks {
			return "", false
		}
		if path.IsAbs(target) {
			at = "/"
		}
		todo = append(split(target), todo...)
	}
	return at, true
}

// split is a link's target as its parts, ".." among them.
func split(target string) []string {
	return slices.DeleteFunc(strings.Split(target, "/"), func(p string) bool { return p == "" || p == "." })
}

package requirement

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of requirements files.
const (
	maxFile     = 1 << 20 // bytes of one file
	maxIncludes = 32      // files that include one another
	maxLines    = 10000   // of all files
)

// Line of a requirements file, without its comment, white space made single.
type Line struct {
	Text string
	// File that the line stands in.
	File string
	// Constraint: the line came in with -c. It restricts a package's version and
	// asks for none.
	Constraint bool
}

// File is a requirements file with everything that it includes.
type File struct {
	Path string
	// Lines without comments and blanks, those of an included file behind the
	// line that includes it.
	Lines []Line
	// Local: some lines name files of this machine, whose changes the text does
	// not tell.
	Local bool
}

// Read reads a requirements file of at most 1 MiB. Files that it includes by -r
// or -c are read too, but not those at a URL.
func Read(path string) (*File, error) {
	f := &File{Path: path}
	if err := f.read(path, false, 0); err != nil {
		return nil, err
	}
	return f, nil
}

// Texts are the lines' texts, in order.
func (f *File) Texts() []string {
	texts := make([]string, len(f.Lines))
	for i, line := range f.Lines {
		texts[i] = line.Text
	}
	return texts
}

func (f *File) read(name string, constraint bool, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s is included %d levels deep: does it include itself?", name, depth)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return fmt.Errorf("%s is no file of at most %d bytes", name, maxFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	// A backslash at a line's end continues it (pip's requirements file format).
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.Join(strings.Fields(withoutComment(line)), " ")
		if line == "" {
			continue
		}
		if len(f.Lines) >= maxLines {
			return fmt.Errorf("%s: more than %d lines with what it includes", f.Path, maxLines)
		}
		f.Lines = append(f.Lines, Line{Text: line, File: name, Constraint: constraint})
		option, value := Option(line)
		switch option {
		case "-r", "--requirement", "-c", "--constraint":
			if strings.Contains(value, "://") {
				continue
			}
			if !filepath.IsAbs(value) {
				value = filepath.Join(filepath.Dir(name), value)
			}
			only := constraint || option == "-c" || option == "--constraint"
			if err := f.read(value, only, depth+1); err != nil {
				return err
			}
		case "-f", "--find-links":
			f.Local = f.Local || !strings.HasPrefix(value, "http")
		case "-e", "--editable":
			f.Local = true
		case "":
			f.Local = f.Local || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "/") ||
				strings.Contains(line, "file:") || strings.Contains(line, "@ .") || strings.Contains(line, "@ /")
		}
	}
	return nil
}

// withoutComment drops a comment: a # at the start or after white space.
func withoutComment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

// Option splits "-r more.txt", "-rmore.txt" and "--requirement=more.txt"; the
// option is empty where the line is a requirement.
func Option(line string) (option, value string) {
	switch {
	case strings.HasPrefix(line, "--"):
		i := strings.IndexAny(line, " =")
		if i < 0 {
			return line, ""
		}
		return line[:i], strings.TrimSpace(line[i+1:])
	case strings.HasPrefix(line, "-") && len(line) > 1:
		return line[:2], strings.TrimSpace(line[2:])
	default:
		return "", line
	}
}

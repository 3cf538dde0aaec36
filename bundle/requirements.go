package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/workflow"
)

// RequirementsError says that pip could not install what functions ask for.
type RequirementsError struct {
	// Functions whose requirements are at fault, sorted.
	Functions []string
	// Requirements that pip complains of, as written; empty where it names none.
	Requirements []string
	// Message is pip's own last word.
	Message string
	// Clash: the functions' requirements exclude each other, though each may
	// be installed alone.
	Clash bool
}

func (e *RequirementsError) Error() string {
	who := "functions " + quoted(e.Functions)
	if len(e.Functions) == 1 {
		who = "function " + quoted(e.Functions)
	}
	what := "the requirements"
	if len(e.Requirements) > 0 {
		what = quoted(e.Requirements)
	}
	if e.Clash {
		return fmt.Sprintf("%s ask for packages that clash (%s) and cannot share a wrap: pip: %s: plan again, chiron plan keeps such functions apart", who, what, e.Message)
	}
	return fmt.Sprintf("%s: pip cannot install %s: %s", who, what, e.Message)
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, ", ")
}

// requirements installs what the functions ask for, all together, and returns
// the folder that holds it; empty where they ask for nothing.
func (b *builder) requirements(ctx context.Context, python interpreter, functions []*workflow.Function) (string, error) {
	var files []*requirementsFile
	key := sha256.New()
	fmt.Fprintf(key, "chiron requirements 1\n%s\n", python.id)
	cacheable := true
	for _, f := range functions {
		if f.Requirements == "" {
			continue
		}
		file, err := readRequirements(f)
		if err != nil {
			return "", err
		}
		if len(file.lines) == 0 {
			continue
		}
		files = append(files, file)
		cacheable = cacheable && !file.local
	}
	if len(files) == 0 {
		return "", nil
	}
	// The order of functions and who asks for what do not matter to pip.
	var texts []string
	for _, f := range files {
		texts = append(texts, strings.Join(f.lines, "\n"))
	}
	slices.Sort(texts)
	for _, t := range slices.Compact(texts) {
		fmt.Fprintf(key, "%d\n%s\n", len(t), t)
	}
	cached := filepath.Join(b.CacheDir, "requirements", hex.EncodeToString(key.Sum(nil)))
	if !cacheable {
		if err := removeAll(cached); err != nil {
			return "", fmt.Errorf("requirements: %w", err)
		}
	}
	if info, err := os.Stat(cached); err == nil && info.IsDir() {
		return cached, nil
	}
	if err := os.MkdirAll(filepath.Dir(cached), 0o700); err != nil {
		return "", fmt.Errorf("requirements: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(cached), ".installing-")
	if err != nil {
		return "", fmt.Errorf("requirements: %w", err)
	}
	defer func() { _ = removeAll(work) }()
	site := filepath.Join(work, "site")
	if err := pip(ctx, python, files, site, work); err != nil {
		return "", err
	}
	if err := normalise(site); err != nil {
		return "", fmt.Errorf("requirements: %w", err)
	}
	// Another build may have been quicker: then its folder serves as well.
	if err := os.Rename(site, cached); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("requirements: %w", err)
	}
	return cached, nil
}

// requirementsFile is one function's requirements with everything that they
// include.
type requirementsFile struct {
	function string
	path     string
	// lines without comments and blanks, those of included files in place.
	lines []string
	// local: they name files of this machine, whose changes the text does not
	// tell, so that what is installed cannot be kept.
	local bool
}

// Bounds of requirements files.
const (
	maxRequirements = 1 << 20 // bytes of one file
	maxIncludes     = 32      // files that include one another
)

func readRequirements(f *workflow.Function) (*requirementsFile, error) {
	r := &requirementsFile{function: f.Name, path: f.Requirements}
	if err := r.read(f.Requirements, 0); err != nil {
		return nil, fmt.Errorf("function %q: requirements: %w", f.Name, err)
	}
	return r, nil
}

func (r *requirementsFile) read(name string, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s is included %d levels deep: does it include itself?", name, depth)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRequirements {
		return fmt.Errorf("%s is no file of at most %d bytes", name, maxRequirements)
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
		r.lines = append(r.lines, line)
		option, value := optionOf(line)
		switch option {
		case "-r", "--requirement", "-c", "--constraint":
			if strings.Contains(value, "://") {
				continue
			}
			if !filepath.IsAbs(value) {
				value = filepath.Join(filepath.Dir(name), value)
			}
			if err := r.read(value, depth+1); err != nil {
				return err
			}
		case "-f", "--find-links":
			r.local = r.local || !strings.HasPrefix(value, "http")
		case "-e", "--editable":
			r.local = true
		case "":
			r.local = r.local || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "/") ||
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

// optionOf splits "-r more.txt", "-rmore.txt" and "--requirement=more.txt"; the
// option is empty where the line is a requirement.
func optionOf(line string) (option, value string) {
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

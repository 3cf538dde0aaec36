package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// pip installs the files' requirements together into site. It keeps the user's
// own settings (index, proxy, certificates), which are the environment's and
// pip's configuration's, but for those that contradict --target.
func pip(ctx context.Context, python interpreter, files []*requirementsFile, site, work string) error {
	if python.path == "" {
		return errors.New("functions need packages, and this machine has no Python whose pip could fetch them: install one (apt-get install python3 python3-pip)")
	}
	args := []string{"-m", "pip"}
	if python.target != nil {
		markers, err := python.target.markers()
		if err != nil {
			return err
		}
		args = []string{"-c", pipForTarget, markers}
	}
	args = append(args,
		"install", "--no-input", "--disable-pip-version-check", "--no-color",
		"--no-compile", "--no-warn-script-location", "--target", site,
	)
	if python.target != nil {
		args = append(args, python.target.pipOptions()...)
	}
	for _, f := range files {
		args = append(args, "-r", f.Path)
	}
	env := append(os.Environ(),
		"PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0", "PIP_ROOT_USER_ACTION=ignore",
		// For packages that are built here: fewer ways to differ.
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0", "SOURCE_DATE_EPOCH=946684800",
		"PYTHONPATH=", "TMPDIR="+work,
	)
	out, err := run(ctx, command{path: python.path, args: args, dir: work, env: env})
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("start pip: %w", err)
	}
	if strings.Contains(out.stderr, "No module named pip") || strings.Contains(out.stderr, "No module named 'pip'") {
		return fmt.Errorf("functions need packages, and %s has no pip: install it (apt-get install python3-pip, or %s -m ensurepip)", python.path, python.path)
	}
	e := explain(files, out)
	if python.target != nil {
		e.missing(python.target, out)
	}
	return e
}

// explain makes one line of pip's output and finds whose requirements it means.
func explain(files []*requirementsFile, out output) *RequirementsError {
	e := &RequirementsError{Message: lastWord(out)}
	// Older pips say "Double requirement given", newer ones explain a conflict.
	everything := out.stdout + "\n" + out.stderr
	conflict := strings.Contains(everything, "ResolutionImpossible") ||
		strings.Contains(everything, "Double requirement given") ||
		strings.Contains(everything, "conflicting dependencies")
	for _, f := range files {
		for _, line := range f.Texts() {
			if name := packageName(line); name != "" && mentions(e.Message, name) {
				e.Functions = append(e.Functions, f.function)
				e.Requirements = append(e.Requirements, line)
			}
		}
	}
	if len(e.Functions) == 0 {
		for _, f := range files {
			e.Functions = append(e.Functions, f.function)
		}
	}
	e.Functions = slices.Compact(e.Functions) // files are in the order of functions
	slices.Sort(e.Requirements)
	e.Requirements = slices.Compact(e.Requirements)
	e.Clash = conflict && len(e.Functions) > 1
	return e
}

// credentials of an index's address have no place in a message.
var credentials = regexp.MustCompile(`://[^/\s@]+@`)

// lastWord picks the line in which pip says what went wrong.
func lastWord(out output) string {
	var last string
	for line := range strings.SplitSeq(out.stderr+"\n"+out.stdout, "\n") {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "ERROR: ")
		switch {
		case !ok, strings.HasPrefix(text, "ResolutionImpossible"):
		case strings.HasPrefix(text, "Cannot install "), strings.HasPrefix(text, "Double requirement"):
			return credentials.ReplaceAllString(strings.TrimSuffix(text, "."), "://")
		default:
			last = text
		}
	}
	if last == "" {
		last = lastLine(out.stderr)
	}
	if last == "" {
		last = "it failed without a word"
	}
	return credentials.ReplaceAllString(strings.TrimSuffix(last, "."), "://")
}

// packageName is the name at the start of a requirement (PEP 508); empty where
// the line is an option or a path.
func packageName(line string) string {
	end := strings.IndexFunc(line, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
	if end < 0 {
		end = len(line)
	}
	if end == 0 || strings.ContainsAny(line[:1], "-._") {
		return ""
	}
	return line[:end]
}

// mentions reports whether text names a package, in any of the spellings that
// PEP 503 takes for the same.
func mentions(text, name string) bool {
	isSeparator := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	want := canonical(name)
	for word := range strings.FieldsFuncSeq(text, isSeparator) {
		if canonical(strings.Trim(word, ".-_")) == want {
			return true
		}
	}
	return false
}

func canonical(name string) string {
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return strings.Join(parts, "-")
}

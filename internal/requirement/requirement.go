package requirement

import (
	"regexp"
	"strings"
)

// requirement is one line that asks for a package.
type requirement struct {
	line Line
	// name as PEP 503 normalises it; empty where the line has none: a folder or
	// an address without "name @".
	name       string
	specifiers []specifier
	url        string // of "name @ URL"
	marker     *marker
	// unread: the line is in no form that is known here.
	unread bool
}

// normalised is a project's name as PEP 503 has it.
func normalised(name string) string {
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-"))
}

// maxLine bounds a requirement, bytes; longer ones are taken as unread.
const maxLine = 4096

// parse reads a line that is no option.
func parse(line Line) requirement {
	r := requirement{line: line}
	text := line.Text
	if len(text) > maxLine {
		r.unread = true
		return r
	}
	// Options of the requirement alone, as pip has them: --hash, --config-settings.
	if at := strings.Index(text, " --"); at >= 0 {
		text = text[:at]
	}
	m := regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*(.*)$`).FindStringSubmatch(text)
	if m == nil || strings.Contains(strings.SplitN(text, " ", 2)[0], "://") || local(text) {
		r.name = eggName(text) // a folder, an archive or an address
		r.url = text
		return r
	}
	r.name = normalised(m[1])
	rest := m[3]
	if url, ok := strings.CutPrefix(rest, "@"); ok {
		url, condition, has := strings.Cut(strings.TrimSpace(url), " ;") // a URL may hold a semicolon
		r.url = strings.TrimSpace(url)
		if has {
			r.condition(condition)
		}
		return r
	}
	clauses, condition, has := strings.Cut(rest, ";")
	if has {
		r.condition(condition)
	}
	var ok bool
	if r.specifiers, ok = parseSpecifiers(clauses); !ok {
		r.unread = true
	}
	return r
}

func (r *requirement) condition(text string) {
	m, ok := parseMarker(text)
	r.marker = m
	r.unread = r.unread || !ok
}

// local says whether a line names a file or folder of this machine.
func local(text string) bool {
	path, _, _ := strings.Cut(text, ";")
	path = strings.TrimSpace(path)
	return strings.HasPrefix(path, ".") || strings.HasPrefix(path, "/") || !strings.ContainsAny(path, "@<>=!~ ") &&
		(strings.Contains(path, "/") || strings.HasSuffix(path, ".whl") || strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".zip"))
}

// eggName is the name in "#egg=NAME" or in a wheel's file name; else "".
func eggName(text string) string {
	if m := regexp.MustCompile(`#(?:.*&)?egg=([A-Za-z0-9._-]+)`).FindStringSubmatch(text); m != nil {
		return normalised(m[1])
	}
	if m := regexp.MustCompile(`(?:^|/)([A-Za-z0-9._]+)-[^-/]+(?:-[^-/]+)?-[^-/]+-[^-/]+-[^-/]+\.whl`).FindStringSubmatch(text); m != nil {
		return normalised(m[1])
	}
	return ""
}

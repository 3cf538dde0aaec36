package requirement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set is what one function asks of pip.
type Set struct {
	environments []Environment
	byName       map[string][]requirement
	// nameless asks for packages whose names the lines do not tell; each with
	// the file that it stands in, since paths are relative.
	nameless []Line
	// options of pip that change what every line gets, sorted.
	options []string
}

// newest Python that an unknown version is taken to be at most.
const (
	oldestMinor = 8
	newestMinor = 20
)

// NewSet reads the lines of a requirements file, included ones among them.
func NewSet(lines []Line, e Environment) *Set {
	s := &Set{environments: []Environment{e}, byName: make(map[string][]requirement)}
	if _, known := e.value("python_version"); !known {
		s.environments = nil
		for minor := oldestMinor; minor <= newestMinor; minor++ {
			s.environments = append(s.environments, Environment{Python: fmt.Sprintf("3.%d", minor)})
		}
	}
	for _, line := range lines {
		option, value := Option(line.Text)
		switch option {
		case "":
		case "-r", "--requirement", "-c", "--constraint":
			if strings.Contains(value, "://") {
				s.nameless = append(s.nameless, line) // read by pip alone
			}
			continue
		case "-e", "--editable":
			line.Text = value
		default:
			s.options = append(s.options, line.Text)
			continue
		}
		if strings.Contains(line.Text, " --hash") {
			s.options = append(s.options, "--require-hashes") // pip asks them of all then
		}
		if r := parse(line); r.name == "" {
			s.nameless = append(s.nameless, line)
		} else {
			s.byName[r.name] = append(s.byName[r.name], r)
		}
	}
	slices.Sort(s.options)
	s.options = slices.Compact(s.options)
	return s
}

// Clash says why two sets cannot be installed into one folder.
type Clash struct {
	// Why is empty where they can, as far as their lines tell.
	Why string
	// Certain is false where the lines do not tell and the answer is the careful
	// one.
	Certain bool
}

// Clash of two sets that are installed for the same interpreter.
func (s *Set) Clash(other *Set) Clash {
	if len(s.byName)+len(s.nameless) == 0 || len(other.byName)+len(other.nameless) == 0 {
		return Clash{}
	}
	var doubt Clash
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		if other.byName[name] == nil || sameLines(s.byName[name], other.byName[name]) {
			continue
		}
		c := s.clashOf(s.byName[name], other.byName[name])
		if c.Certain {
			return c
		}
		if doubt.Why == "" {
			doubt = c
		}
	}
	switch {
	case doubt.Why != "":
		return doubt
	case !slices.Equal(s.options, other.options):
		return Clash{Why: fmt.Sprintf("pip's options differ (%s)", strings.Join(differing(s.options, other.options), ", "))}
	}
	// A package without a name may be any: only the same lines are sure not to
	// clash.
	for _, pair := range [][2]*Set{{s, other}, {other, s}} {
		for _, line := range pair[0].nameless {
			if !slices.Contains(pair[1].nameless, line) {
				return Clash{Why: fmt.Sprintf("it cannot be told which package %q is", line.Text)}
			}
		}
	}
	return Clash{}
}

func sameLines(a, b []requirement) bool {
	texts := func(list []requirement) []string {
		out := make([]string, len(list))
		for i, r := range list {
			out[i] = r.line.Text
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(texts(a), texts(b))
}

// maxSame bounds the lines of one package that are compared.
const maxSame = 20

// clashOf one package. What holds for every Python that it may be is certain.
func (s *Set) clashOf(a, b []requirement) Clash {
	if len(a) > maxSame || len(b) > maxSame {
		return Clash{Why: fmt.Sprintf("there are too many lines on %s to tell", a[0].name)}
	}
	var first Clash
	certain := 0
	environments := s.environments
	if conditional := func(r requirement) bool { return r.marker != nil }; !slices.ContainsFunc(a, conditional) && !slices.ContainsFunc(b, conditional) {
		environments = environments[:1]
	}
	for _, e := range environments {
		c := clashIn(e, a, b)
		if c.Certain {
			certain++
		}
		if first.Why == "" || c.Certain && !first.Certain {
			first = c
		}
	}
	first.Certain = first.Why != "" && certain == len(environments)
	return first
}

// clashIn one environment: first of the lines that surely apply, then of those
// that may.
func clashIn(e Environment, a, b []requirement) Clash {
	for _, least := range []answer{yes, unknown} {
		x, y := applying(e, a, least), applying(e, b, least)
		if len(x) == 0 || len(y) == 0 {
			continue
		}
		asked := func(r requirement) bool { return !r.line.Constraint }
		wanted := slices.ContainsFunc(x, asked) || slices.ContainsFunc(y, asked)
		if why, sure := contradict(x, y); why != "" {
			return Clash{Why: why, Certain: sure && wanted && least == yes}
		}
	}
	return Clash{}
}

func applying(e Environment, list []requirement, least answer) []requirement {
	var out []requirement
	for _, r := range list {
		if r.marker.eval(e) >= least {
			out = append(out, r)
		}
	}
	return out
}

// contradict says whether lines that apply exclude each other.
func contradict(a, b []requirement) (why string, certain bool) {
	both := func(x, y requirement) string {
		return fmt.Sprintf("%q and %q cannot both be installed", x.line.Text, y.line.Text)
	}
	var all []specifier
	for _, x := range a {
		all = append(all, x.specifiers...)
	}
	for _, y := range b {
		all = append(all, y.specifiers...)
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case x.line.Text == y.line.Text && (x.url == "" || !local(x.url)):
			case x.unread || y.unread:
				why = fmt.Sprintf("it cannot be told whether %q and %q can both be installed", x.line.Text, y.line.Text)
			case x.url != "" && y.url != "" && (x.url != y.url || x.line.File != y.line.File && local(x.url)):
				return both(x, y), true
			case (x.url != "") != (y.url != "") && len(x.specifiers)+len(y.specifiers) > 0:
				why = fmt.Sprintf("it cannot be told whether %q and %q can both be installed", x.line.Text, y.line.Text)
			case !satisfiable(slices.Concat(x.specifiers, y.specifiers)):
				return both(x, y), true
			}
		}
	}
	if why == "" && !satisfiable(all) {
		return fmt.Sprintf("no version of %s is all that %s and %s ask for", a[0].name, quoted(a), quoted(b)), true
	}
	return why, false
}

func quoted(list []requirement) string {
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = fmt.Sprintf("%q", r.line.Text)
	}
	return strings.Join(texts, ", ")
}

// differing are the texts in one of two sorted lists only.
func differing(a, b []string) []string {
	var out []string
	for _, list := range [][2][]string{{a, b}, {b, a}} {
		for _, text := range list[0] {
			if !slices.Contains(list[1], text) {
				out = append(out, text)
			}
		}
	}
	return out
}

package workflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is the value of InputPath, ResultPath or OutputPath: "$",
// "$.a['b c'][0]", "$$.Execution.Id", or null. The zero Path is "$".
//
// Paths select members by name, elements by index, and, where the field takes
// more than a reference path, wildcards ([*], .*) and slices ([1:3]).
// Filters, unions, recursive descent and functions are not supported yet.
type Path struct {
	// Text as written; empty for the zero Path.
	Text string
	// Null is JSON's null: no input, no output, or a discarded result.
	Null bool

	// steps of Text, as ParsePath leaves them; nil in a Path made by hand.
	steps []step
}

// step is one selector of a path.
type step struct {
	kind stepKind
	name string
	// index of an element, or the start of a slice; negative counts from the
	// end.
	index int
	// end of a slice, where bounded.
	end     int
	bounded bool
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepIndex
	stepSlice
	stepWildcard
)

// maxPath bounds a path's length in bytes.
const maxPath = 1024

// ParsePath reads a path that begins with "$" (the state's data) or "$$" (the
// context object).
func ParsePath(text string) (Path, error) {
	if len(text) > maxPath {
		return Path{}, fmt.Errorf("a path of %d bytes is too long (at most %d)", len(text), maxPath)
	}
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return Path{}, fmt.Errorf("path %q does not begin with $", text)
	}
	rest = strings.TrimPrefix(rest, "$")
	p := Path{Text: text, steps: []step{}}
	for rest != "" {
		var s step
		var err error
		if s, rest, err = parseStep(rest); err != nil {
			return Path{}, fmt.Errorf("path %q: %w", text, err)
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

func parseStep(text string) (s step, rest string, err error) {
	switch {
	case strings.HasPrefix(text, ".."):
		return s, "", fmt.Errorf("recursive descent (..) is not supported yet")
	case text[0] == '.':
		return parseDotted(text[1:])
	case text[0] == '[':
		return parseBracket(text[1:])
	}
	return s, "", fmt.Errorf("expected . or [ before %q", text)
}

func parseDotted(text string) (s step, rest string, err error) {
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	name, rest := text[:end], text[end:]
	switch {
	case name == "":
		return s, "", fmt.Errorf("a name is missing after a dot")
	case name == "*":
		return step{kind: stepWildcard}, rest, nil
	case strings.HasSuffix(name, "()"):
		return s, "", fmt.Errorf("the function %s is not supported yet", name)
	}
	if i := strings.IndexAny(name, " \t\r\n\"'`()]{}*?@:,;=<>!&|\\$"); i >= 0 {
		return s, "", fmt.Errorf("%q in the name %q: write ['%s']", name[i:i+1], name, name)
	}
	return step{kind: stepName, name: name}, rest, nil
}

func parseBracket(text string) (s step, rest string, err error) {
	if text == "" {
		return s, "", fmt.Errorf("a [ is not closed")
	}
	switch text[0] {
	case '\'', '"':
		return parseQuoted(text)
	case '?':
		return s, "", fmt.Errorf("a filter [?(…)] is not supported yet")
	case '(':
		return s, "", fmt.Errorf("a script [(…)] is not supported yet")
	}
	inner, rest, ok := strings.Cut(text, "]")
	if !ok {
		return s, "", fmt.Errorf("a [ is not closed")
	}
	inner = strings.TrimSpace(inner)
	switch {
	case inner == "*":
		return step{kind: stepWildcard}, rest, nil
	case strings.Contains(inner, ","):
		return s, "", fmt.Errorf("a union [%s] is not supported yet", inner)
	case strings.Count(inner, ":") > 1:
		return s, "", fmt.Errorf("a slice with a step [%s] is not supported yet", inner)
	}
	from, to, slice := strings.Cut(inner, ":")
	if !slice {
		i, err := parseIndex(inner)
		return step{kind: stepIndex, index: i}, rest, err
	}
	s.kind = stepSlice
	if from = strings.TrimSpace(from); from != "" {
		if s.index, err = parseIndex(from); err != nil {
			return s, "", err
		}
	}
	if to = strings.TrimSpace(to); to != "" {
		s.bounded = true
		if s.end, err = parseIndex(to); err != nil {
			return s, "", err
		}
	}
	return s, rest, nil
}

func parseIndex(text string) (int, error) {
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("[%s] is neither an index nor a quoted name", text)
	}
	return int(i), nil
}

// parseQuoted reads 'name'] or "name"]. Within, a backslash stands for itself
// except before another backslash that ends the name, or before the quote.
func parseQuoted(text string) (s step, rest string, err error) {
	quote := text[0]
	var name strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == quote || text[i+1] == '\\'):
			i++
			name.WriteByte(text[i])
		case c == quote:
			rest := strings.TrimLeft(text[i+1:], " ")
			switch {
			case strings.HasPrefix(rest, ","):
				return s, "", fmt.Errorf("a union of names is not supported yet")
			case !strings.HasPrefix(rest, "]"):
				return s, "", fmt.Errorf("expected ] after %s", text[:i+1])
			}
			return step{kind: stepName, name: name.String()}, rest[1:], nil
		default:
			name.WriteByte(c)
		}
	}
	return s, "", fmt.Errorf("a quoted name does not end")
}

// IsIdentity reports whether p selects the whole of its data.
func (p Path) IsIdentity() bool {
	return !p.Null && (p.Text == "" || p.Text == "$")
}

// IsContext reports whether p reads the context object ("$$").
func (p Path) IsContext() bool {
	return strings.HasPrefix(p.Text, "$$")
}

// IsReference reports whether p is a reference path: names and indexes into
// the state's data, so that it selects at most one value and can be written to.
func (p Path) IsReference() bool {
	if p.Null || p.IsContext() {
		return false
	}
	steps, err := p.compiled()
	if err != nil {
		return false
	}
	for _, s := range steps {
		if s.kind > stepIndex || s.kind == stepIndex && s.index < 0 {
			return false
		}
	}
	return true
}

// String is the path as written.
func (p Path) String() string {
	switch {
	case p.Null:
		return "null"
	case p.Text == "":
		return "$"
	}
	return p.Text
}

// compiled returns the steps, also of a Path made by hand.
func (p Path) compiled() ([]step, error) {
	if p.steps != nil || p.Text == "" {
		return p.steps, nil
	}
	parsed, err := ParsePath(p.Text)
	return parsed.steps, err
}

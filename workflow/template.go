package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Template is a payload template: the value of Parameters, in which a key that
// ends in ".$" takes its value from a path.
type Template struct {
	// Raw is the template as written, valid JSON.
	Raw json.RawMessage

	// segments of the compiled template, in the order of the output.
	segments []segment
}

// segment is a stretch of constant JSON, then the value of a path (none in
// the last segment).
type segment struct {
	text string
	path Path
	// key as written, for messages: "name.$"; empty: no path.
	key string
}

// ParseTemplate reads a template from JSON.
func ParseTemplate(raw json.RawMessage) (*Template, error) {
	var f faults
	n := parseJSON("", raw, &f)
	if err := f.err(); err != nil {
		return nil, err
	}
	t := newTemplate(n, "", &f)
	if err := f.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// newTemplate compiles a template of a file; faults are added to f.
func newTemplate(n *node, state string, f *faults) *Template {
	t := &templateCompiler{state: state, faults: f}
	t.value(n)
	return &Template{
		Raw:      n.appendJSON(nil),
		segments: append(t.segments, segment{text: string(t.text)}),
	}
}

type templateCompiler struct {
	state    string
	faults   *faults
	text     []byte
	segments []segment
}

func (t *templateCompiler) value(n *node) {
	switch n.kind {
	case arrayNode:
		t.text = append(t.text, '[')
		for i, item := range n.items {
			if i > 0 {
				t.text = append(t.text, ',')
			}
			t.value(item)
		}
		t.text = append(t.text, ']')
	case objectNode:
		t.object(n)
	default:
		t.text = n.appendJSON(t.text)
	}
}

func (t *templateCompiler) object(n *node) {
	t.text = append(t.text, '{')
	for i, f := range n.fields {
		if i > 0 {
			t.text = append(t.text, ',')
		}
		name, dynamic := strings.CutSuffix(f.name, ".$")
		t.text = appendJSONString(t.text, name)
		t.text = append(t.text, ':')
		if !dynamic {
			t.value(f.value)
			continue
		}
		if n.get(name) != nil {
			t.faults.add(f.pos, t.state, fmt.Sprintf("both %q and %q in one object", name, f.name), "keep one of them")
		}
		if path, ok := t.path(f); ok {
			t.segments = append(t.segments, segment{text: string(t.text), path: path, key: f.name})
			t.text = t.text[:0]
		}
	}
	t.text = append(t.text, '}')
}

func (t *templateCompiler) path(f field) (Path, bool) {
	if f.value.kind != stringNode {
		t.faults.add(f.value.pos, t.state, fmt.Sprintf("%q must be a path in a string, not %s", f.name, f.value.kind),
			"a key without .$ takes a constant")
		return Path{}, false
	}
	text := f.value.text
	if name, _, isCall := strings.Cut(text, "("); isCall && !strings.HasPrefix(text, "$") {
		t.faults.add(f.value.pos, t.state, fmt.Sprintf("%q: the intrinsic function %s is not supported yet", f.name, strings.TrimSpace(name)),
			"compute it in a function")
		return Path{}, false
	}
	path, err := ParsePath(text)
	if err != nil {
		t.faults.add(f.value.pos, t.state, fmt.Sprintf("%q: %v", f.name, err), "a key without .$ takes a constant")
		return Path{}, false
	}
	return path, true
}

func (t *Template) usesContext() bool {
	if t == nil {
		return false
	}
	segments, _ := t.compiled() // a broken one fails when it is rendered
	for i := range segments {
		if segments[i].path.IsContext() {
			return true
		}
	}
	return false
}

// compiled returns the segments, also of a Template made by hand.
func (t *Template) compiled() ([]segment, error) {
	if t.segments != nil {
		return t.segments, nil
	}
	parsed, err := ParseTemplate(t.Raw)
	if err != nil {
		return nil, err
	}
	return parsed.segments, nil
}

package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseDefinition reads a definition, JSON or YAML by the file's extension
// (else by its first character), and checks everything that can be checked
// without the project: see Load for the rest. file is used in messages alone.
//
// The error joins an *Error for every fault, sorted by position.
func ParseDefinition(file string, data []byte) (*Definition, error) {
	var f faults
	p := parser{faults: &f}
	d := p.parse(file, data)
	if err := f.err(); err != nil {
		return nil, err
	}
	return d, nil
}

// parser turns the tree of a file into a Definition. It goes on after a fault,
// so that one run shows all of them.
type parser struct {
	faults *faults
	// names of all states so far, branches included.
	names map[string]Position
}

func (p *parser) parse(file string, data []byte) *Definition {
	p.names = make(map[string]Position)
	n := parseSource(file, data, p.faults)
	if n == nil {
		return nil
	}
	d := p.definition(n, true)
	if d != nil && len(p.faults.list) == 0 {
		d.rememberContext()
	}
	return d
}

// definition reads a state machine: the whole workflow, or a branch.
func (p *parser) definition(n *node, top bool) *Definition {
	what := "a branch"
	if top {
		what = "a definition"
	}
	if n.kind != objectNode {
		p.faults.add(n.pos, "", fmt.Sprintf("%s must be an object, not %s", what, n.kind), `it has the fields "StartAt" and "States"`)
		return nil
	}
	d := &Definition{States: make(map[string]*State), Pos: n.pos}
	var startAt, states *node
	for _, f := range n.fields {
		switch {
		case f.name == "Comment":
			d.Comment = p.text(f, "")
		case f.name == "StartAt":
			startAt = f.value
			d.StartAt = p.text(f, "")
		case f.name == "States":
			states = f.value
		case f.name == "Version" && top:
			if v := p.text(f, ""); v != "1.0" && f.value.kind == stringNode {
				p.faults.add(f.value.pos, "", fmt.Sprintf("Version %q is not supported", v), `the language has one: "1.0"`)
			}
		case f.name == "Name" && top:
			p.text(f, "") // written by some tools; the project's name counts
		default:
			p.foreignField(f, "", what, []string{"Comment", "StartAt", "States", "Version"}, laterTopLevel())
		}
	}
	if states == nil {
		p.faults.add(n.pos, "", what+` has no "States"`, "")
		return d
	}
	p.states(d, states)
	p.checkGraph(d, startAt)
	return d
}

// laterTopLevel are fields of a state machine that are not supported yet.
func laterTopLevel() []string {
	return []string{"TimeoutSeconds", "QueryLanguage", "ProcessorConfig"}
}

// states reads the object of states. One whose type is not known stays in the
// Definition with no Type, so that others may name it.
func (p *parser) states(d *Definition, n *node) {
	if n.kind != objectNode {
		p.faults.add(n.pos, "", fmt.Sprintf(`"States" must be an object, not %s`, n.kind), "")
		return
	}
	if len(n.fields) == 0 {
		p.faults.add(n.pos, "", `"States" is empty`, "a workflow has at least one state")
		return
	}
	for _, f := range n.fields {
		p.stateName(f)
		s := p.state(f)
		if s == nil {
			s = &State{Name: f.name, Pos: f.pos}
		}
		d.States[f.name] = s
		d.Order = append(d.Order, f.name)
	}
}

// maxStateName is the specification's bound, in characters.
const maxStateName = 80

func (p *parser) stateName(f field) {
	switch {
	case f.name == "":
		p.faults.add(f.pos, "", "a state's name is empty", "")
	case utf8.RuneCountInString(f.name) > maxStateName:
		p.faults.add(f.pos, "", fmt.Sprintf("the state's name %.30q… is longer than %d characters", f.name, maxStateName), "")
	case strings.IndexFunc(f.name, unicode.IsControl) >= 0:
		p.faults.add(f.pos, "", fmt.Sprintf("the state's name %q has a control character", f.name), "")
	}
	if first, twice := p.names[f.name]; twice {
		p.faults.add(f.pos, "", fmt.Sprintf("two states are named %q", f.name),
			fmt.Sprintf("the first is on line %d; names are unique over the whole workflow, branches included", first.Line))
		return
	}
	p.names[f.name] = f.pos
}

// state reads one state, or returns nil where its type is none that it knows.
func (p *parser) state(f field) *State {
	if f.value.kind != objectNode {
		p.faults.add(f.value.pos, f.name, fmt.Sprintf("a state must be an object, not %s", f.value.kind), "")
		return nil
	}
	kind := f.value.get("Type")
	if kind == nil {
		p.faults.add(f.pos, f.name, `has no "Type"`, listed("types", supportedTypes()))
		return nil
	}
	if kind.kind != stringNode {
		p.faults.add(kind.pos, f.name, fmt.Sprintf(`"Type" must be a string, not %s`, kind.kind), listed("types", supportedTypes()))
		return nil
	}
	k, ok := kindOf(StateType(kind.text))
	if !ok {
		p.unknownType(f, kind)
		return nil
	}
	s := &State{Name: f.name, Type: StateType(kind.text), Pos: f.pos}
	for _, field := range f.value.fields {
		if field.name != "Type" && !p.commonField(s, k, field) && !k.read(p, s, field) {
			p.foreignField(field, s.Name, fmt.Sprintf("a %s state", s.Type), k.names(), laterFields(s.Type))
		}
	}
	p.checkEnd(s, k, f.value)
	if k.check != nil {
		k.check(p, s, f.value)
	}
	return s
}

func (p *parser) unknownType(f field, kind *node) {
	switch kind.text {
	case "Choice", "Map", "Wait":
		p.faults.add(kind.pos, f.name, fmt.Sprintf("state type %q is not supported yet", kind.text), listed("supported types", supportedTypes()))
	default:
		p.faults.add(kind.pos, f.name, fmt.Sprintf("no such state type: %q", kind.text),
			hints(didYouMean(kind.text, supportedTypes()), listed("types", supportedTypes())))
	}
}

// commonField reads a field that several types share; false: it is none that
// this type has.
func (p *parser) commonField(s *State, k stateKind, f field) bool {
	switch {
	case f.name == "Comment":
		s.Comment = p.text(f, s.Name)
	case f.name == "Next" && !k.terminal:
		s.Next, s.NextPos = p.text(f, s.Name), f.value.pos
		if s.Next == "" && f.value.kind == stringNode {
			p.faults.add(f.value.pos, s.Name, `"Next" is empty`, "name the state that follows")
		}
	case f.name == "End" && !k.terminal:
		if f.value.kind != boolNode {
			p.faults.add(f.value.pos, s.Name, fmt.Sprintf(`"End" must be true or false, not %s`, f.value.kind), "")
		}
		s.End = f.value.kind == boolNode && f.value.text == "true"
	case f.name == "InputPath" && k.paths:
		s.InputPath = p.path(f, s.Name, false)
	case f.name == "OutputPath" && k.paths:
		s.OutputPath = p.path(f, s.Name, false)
	case f.name == "ResultPath" && k.result:
		s.ResultPath = p.path(f, s.Name, true)
	case f.name == "Parameters" && k.result:
		s.Parameters = newTemplate(f.value, s.Name, p.faults)
	default:
		return false
	}
	return true
}

// foreignField reports a field that cannot be here: not supported yet,
// another type's, or unknown.
func (p *parser) foreignField(f field, state, what string, known, later []string) {
	for _, name := range later {
		if name == f.name {
			hint := ""
			if f.name == "QueryLanguage" && f.value.text == "JSONPath" {
				hint = "leave it out: JSONPath is what runs"
			}
			p.faults.add(f.pos, state, fmt.Sprintf("field %q of %s is not supported yet", f.name, what), hint)
			return
		}
	}
	problem := fmt.Sprintf("no such field in %s: %q", what, f.name)
	p.faults.add(f.pos, state, problem, hints(didYouMean(f.name, slices.Concat(known, later)), foreignHint(f.name)))
}

// foreignHint says where a field belongs that another type has.
func foreignHint(name string) string {
	switch name {
	case "Resource":
		return "it belongs to a Task"
	case "Branches":
		return "it belongs to a Parallel"
	case "Result":
		return "it belongs to a Pass"
	case "Error", "Cause":
		return "it belongs to a Fail"
	case "Next", "End":
		return "the state ends the workflow or branch by itself"
	}
	return ""
}

func (p *parser) text(f field, state string) string {
	if f.value.kind != stringNode {
		p.faults.add(f.value.pos, state, fmt.Sprintf("%q must be a string, not %s", f.name, f.value.kind), "")
		return ""
	}
	return f.value.text
}

func (p *parser) path(f field, state string, reference bool) Path {
	switch f.value.kind {
	case nullNode:
		return Path{Null: true}
	case stringNode:
	default:
		p.faults.add(f.value.pos, state, fmt.Sprintf("%q must be a path or null, not %s", f.name, f.value.kind), `"$" is the whole`)
		return Path{}
	}
	path, err := ParsePath(f.value.text)
	if err != nil {
		hint := `a path is "$", "$.name", "$['name']" or "$.list[0]"`
		if strings.HasPrefix(f.value.text, "States.") {
			hint = "intrinsic functions are not supported yet"
		}
		p.faults.add(f.value.pos, state, fmt.Sprintf("%s: %v", f.name, err), hint)
		return Path{}
	}
	if reference && !path.IsReference() {
		p.faults.add(f.value.pos, state, fmt.Sprintf("%s must be a reference path, not %q", f.name, path.Text),
			"names and indexes from $ on, no wildcard, slice or $$")
		return Path{}
	}
	if path.IsIdentity() {
		return Path{} // "$" is what the zero Path means
	}
	return path
}

// checkEnd: a state goes on or ends, not both.
func (p *parser) checkEnd(s *State, k stateKind, n *node) {
	if k.terminal {
		return
	}
	next, end := n.get("Next"), n.get("End")
	switch {
	case end != nil && end.kind != boolNode: // said already
	case next != nil && s.End:
		p.faults.add(next.pos, s.Name, `has both "Next" and "End"`, "keep one of them")
	case next == nil && !s.End:
		p.faults.add(s.Pos, s.Name, `has neither "Next" nor "End": true`, `name the state that follows, or write "End": true`)
	}
}

// value keeps a constant of the file as JSON.
func value(n *node) json.RawMessage {
	return n.appendJSON(nil)
}

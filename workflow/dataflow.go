package workflow

import (
	"encoding/json"
	"fmt"
)

// EffectiveInput applies InputPath, then Parameters, to a state's raw input:
// what a Task's function is given. With neither it returns raw itself, which
// then need not be JSON. c may be nil where no path begins with "$$".
//
// Errors are *Failure, named States.Runtime.
func (s *State) EffectiveInput(raw json.RawMessage, c *ContextObject) (json.RawMessage, error) {
	if s.Parameters == nil && s.InputPath.IsIdentity() {
		return raw, nil
	}
	f := flow{state: s.Name, object: c}
	in, err := f.selectPath("InputPath", s.InputPath, raw)
	if err != nil || s.Parameters == nil {
		return in, err
	}
	return f.render(s.Parameters, in)
}

// EffectiveOutput puts a result into the state's raw input by ResultPath and
// applies OutputPath: what the next state is given. With neither it returns
// result itself, which then need not be JSON. c is as in EffectiveInput.
//
// Errors are *Failure, named States.ResultPathMatchFailure or States.Runtime.
func (s *State) EffectiveOutput(raw, result json.RawMessage, c *ContextObject) (json.RawMessage, error) {
	f := flow{state: s.Name, object: c}
	out := result
	switch {
	case s.ResultPath.Null:
		out = raw
	case !s.ResultPath.IsIdentity():
		var err error
		if out, err = f.place(s.ResultPath, raw, result); err != nil {
			return nil, err
		}
	}
	if s.OutputPath.IsIdentity() {
		return out, nil
	}
	return f.selectPath("OutputPath", s.OutputPath, out)
}

// flow is the data flow of one state.
type flow struct {
	state  string
	object *ContextObject
	// context is object as JSON, once asked for.
	context json.RawMessage
}

func (f *flow) fail(name, format string, args ...any) error {
	return &Failure{Name: name, State: f.state, Cause: fmt.Sprintf(format, args...)}
}

// data returns the JSON that a path reads.
func (f *flow) data(p Path, raw json.RawMessage, what string) (json.RawMessage, error) {
	if !p.IsContext() {
		return raw, f.mustBeJSON(raw, what)
	}
	if f.context == nil {
		if f.object == nil {
			return nil, f.fail(ErrRuntime, "%s reads the context object, but the execution has none", p.Text)
		}
		var err error
		if f.context, err = f.object.MarshalJSON(); err != nil {
			return nil, f.fail(ErrRuntime, "%v", err)
		}
	}
	return f.context, nil
}

func (f *flow) selectPath(name string, p Path, raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case p.Null:
		return json.RawMessage("{}"), nil
	case p.IsIdentity():
		return raw, nil
	}
	what := "the state's input"
	if name == "OutputPath" {
		what = "the state's output"
	}
	data, err := f.data(p, raw, what)
	if err != nil {
		return nil, err
	}
	steps, err := p.compiled()
	if err != nil {
		return nil, f.fail(ErrRuntime, "%s: %v", name, err)
	}
	value, err := selectSteps(data, steps)
	if err != nil {
		return nil, f.fail(ErrRuntime, "%s %q: %v in %s", name, p.Text, err, excerpt(data))
	}
	return value, nil
}

func (f *flow) render(t *Template, in json.RawMessage) (json.RawMessage, error) {
	segments, err := t.compiled()
	if err != nil {
		return nil, f.fail(ErrRuntime, "Parameters: %v", err)
	}
	size := 0
	values := make([]json.RawMessage, len(segments))
	checked := false
	for i := range segments {
		s := &segments[i]
		size += len(s.text)
		if s.key == "" {
			continue
		}
		data := in
		if s.path.IsContext() || !checked {
			if data, err = f.data(s.path, in, "the state's input"); err != nil {
				return nil, err
			}
			checked = checked || !s.path.IsContext()
		}
		if values[i], err = selectSteps(data, s.path.steps); err != nil {
			return nil, f.fail(ErrRuntime, "Parameters: %q: %q: %v in %s", s.key, s.path.Text, err, excerpt(data))
		}
		size += len(values[i])
	}
	out := make([]byte, 0, size)
	for i := range segments {
		out = append(out, segments[i].text...)
		out = append(out, values[i]...)
	}
	return out, nil
}

func (f *flow) place(p Path, raw, result json.RawMessage) (json.RawMessage, error) {
	if err := f.mustBeJSON(result, "the state's result"); err != nil {
		return nil, err
	}
	if err := f.mustBeJSON(raw, "the state's input"); err != nil {
		return nil, err
	}
	steps, err := p.compiled()
	if err != nil {
		return nil, f.fail(ErrRuntime, "ResultPath: %v", err)
	}
	out, err := place(raw, steps, result)
	if err != nil {
		return nil, f.fail(ErrResultPathMatchFailure, "ResultPath %q: %v %s", p.Text, err, excerpt(raw))
	}
	return out, nil
}

func (f *flow) mustBeJSON(data json.RawMessage, what string) error {
	if json.Valid(data) {
		return nil
	}
	return f.fail(ErrRuntime, "%s is not JSON, and must be here: %s", what, excerpt(data))
}

// excerpt shows the start of a value in a message.
func excerpt(data []byte) string {
	const most = 120
	if len(data) == 0 {
		return "(empty)"
	}
	if len(data) > most {
		return fmt.Sprintf("%.*q… (%d bytes)", most, data[:most], len(data))
	}
	return fmt.Sprintf("%q", data)
}

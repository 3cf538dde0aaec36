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
	f := flow{state: s.Name, object: c}
	return f.input(s, raw)
}

// EffectiveOutput puts a result into the state's raw input by ResultPath and
// applies OutputPath: what the next state is given. With neither it returns
// result itself, which then need not be JSON. c is as in EffectiveInput.
//
// Errors are *Failure, named States.ResultPathMatchFailure or States.Runtime.
func (s *State) EffectiveOutput(raw, result json.RawMessage, c *ContextObject) (json.RawMessage, error) {
	f := flow{state: s.Name, object: c}
	return f.output(s, raw, result)
}

// flow is the data flow of one state in one run.
type flow struct {
	state  string
	object *ContextObject
	// context is object as JSON, once asked for.
	context json.RawMessage
	// rawValid: the raw input has been checked to be JSON.
	rawValid bool
}

func (f *flow) input(s *State, raw json.RawMessage) (json.RawMessage, error) {
	in, err := f.selectPath("InputPath", s.InputPath, raw, &f.rawValid)
	if err != nil || s.Parameters == nil {
		return in, err
	}
	valid := f.rawValid || !s.InputPath.IsIdentity() // what a path selects is JSON
	out, err := f.render(s.Parameters, in, &valid)
	f.rawValid = f.rawValid || valid && s.InputPath.IsIdentity()
	return out, err
}

func (f *flow) output(s *State, raw, result json.RawMessage) (json.RawMessage, error) {
	out, valid := result, false
	switch {
	case s.ResultPath.Null:
		out, valid = raw, f.rawValid
	case !s.ResultPath.IsIdentity():
		var err error
		if out, err = f.place(s.ResultPath, raw, result); err != nil {
			return nil, err
		}
		valid = true
	}
	return f.selectPath("OutputPath", s.OutputPath, out, &valid)
}

func (f *flow) fail(name, format string, args ...any) error {
	return &Failure{Name: name, State: f.state, Cause: fmt.Sprintf(format, args...)}
}

// data returns the JSON that a path reads. valid says whether raw is known to
// be JSON, and afterwards it is.
func (f *flow) data(p Path, raw json.RawMessage, what string, valid *bool) (json.RawMessage, error) {
	if !p.IsContext() {
		if !*valid {
			if err := f.mustBeJSON(raw, what); err != nil {
				return nil, err
			}
			*valid = true
		}
		return raw, nil
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

func (f *flow) selectPath(name string, p Path, raw json.RawMessage, valid *bool) (json.RawMessage, error) {
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
	data, err := f.data(p, raw, what, valid)
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

func (f *flow) render(t *Template, in json.RawMessage, valid *bool) (json.RawMessage, error) {
	segments, err := t.compiled()
	if err != nil {
		return nil, f.fail(ErrRuntime, "Parameters: %v", err)
	}
	size := 0
	values := make([]json.RawMessage, len(segments))
	for i := range segments {
		s := &segments[i]
		size += len(s.text)
		if s.key == "" {
			continue
		}
		data, err := f.data(s.path, in, "the state's input", valid)
		if err != nil {
			return nil, err
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
	if !f.rawValid {
		if err := f.mustBeJSON(raw, "the state's input"); err != nil {
			return nil, err
		}
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
	if validJSON(data) {
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

package workflow

import (
	"bytes"
	"encoding/json"
)

// MarshalJSON writes the definition as canonical Amazon States Language:
// compact, the states and fields in a fixed order, defaults left out. What
// ParseDefinition makes of it is Equal to d.
func (d *Definition) MarshalJSON() ([]byte, error) {
	return d.appendJSON(nil), nil
}

// Equal reports whether two definitions are the same but for positions,
// notation and what has no meaning.
func (d *Definition) Equal(other *Definition) bool {
	if d == nil || other == nil {
		return d == other
	}
	return bytes.Equal(d.appendJSON(nil), other.appendJSON(nil))
}

func (d *Definition) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if d.Comment != "" {
		b = append(appendMember(b, "Comment", d.Comment), ',')
	}
	b = appendMember(b, "StartAt", d.StartAt)
	b = append(b, `,"States":{`...)
	for i, name := range d.Order {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, name)
		b = append(b, ':')
		b = d.States[name].appendJSON(b)
	}
	return append(b, "}}"...)
}

func (s *State) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendMember(b, "Type", string(s.Type))
	text := func(name, value string) {
		if value != "" {
			b = appendMember(append(b, ','), name, value)
		}
	}
	path := func(name string, p Path) {
		if p.Null {
			b = append(b, `,"`+name+`":null`...)
		} else if !p.IsIdentity() {
			text(name, p.Text)
		}
	}
	raw := func(name string, value json.RawMessage) {
		b = append(b, `,"`+name+`":`...)
		b = append(b, value...)
	}
	text("Comment", s.Comment)
	path("InputPath", s.InputPath)
	if s.Parameters != nil {
		raw("Parameters", s.Parameters.Raw)
	}
	text("Resource", s.Resource)
	if s.Type == Parallel {
		b = append(b, `,"Branches":[`...)
		for i, branch := range s.Branches {
			if i > 0 {
				b = append(b, ',')
			}
			b = branch.appendJSON(b)
		}
		b = append(b, ']')
	}
	if s.Result != nil {
		raw("Result", s.Result)
	}
	path("ResultPath", s.ResultPath)
	path("OutputPath", s.OutputPath)
	text("Error", s.Error)
	text("Cause", s.Cause)
	text("Next", s.Next)
	if s.End {
		b = append(b, `,"End":true`...)
	}
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	b = appendJSONString(b, name)
	b = append(b, ':')
	return appendJSONString(b, value)
}

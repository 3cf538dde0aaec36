package workflow

import (
	"encoding/json"
	"testing"
)

func TestTemplate(t *testing.T) {
	const input = `{"x":{"y":[1,2]},"s":"t"}`
	for template, want := range map[string]string{
		`1`:               `1`,
		`"$.x"`:           `"$.x"`, // only a key ends in .$
		`{}`:              `{}`,
		`[]`:              `[]`,
		`{"a":"$.x"}`:     `{"a":"$.x"}`,
		`{"a.$":"$.x.y"}`: `{"a":[1,2]}`,
		`{"a.$":"$"}`:     `{"a":` + input + `}`,
		`{".$":"$.s"}`:    `{"":"t"}`,
		`[{"a.$":"$.s"},{"b":[{"c.$":"$.s"}]},"z"]`:     `[{"a":"t"},{"b":[{"c":"t"}]},"z"]`,
		`{"a.$":"$.s","b":{"c.$":"$.x.y[1]","d":null}}`: `{"a":"t","b":{"c":2,"d":null}}`,
		`{"a.$":"$$.Execution.Id","b.$":"$.x.y[*]"}`:    `{"a":"id","b":[1,2]}`,
		`{"a\"b\n.$":"$.s"}`:                            `{"a\"b\n":"t"}`,
	} {
		parsed, err := ParseTemplate(json.RawMessage(template))
		if err != nil {
			t.Fatal(err)
		}
		object := &ContextObject{Execution: &Execution{ID: "id"}}
		for how, tmpl := range map[string]*Template{"parsed": parsed, "made by hand": {Raw: json.RawMessage(template)}} {
			s := State{Name: "S", Type: Task, Parameters: tmpl}
			got, err := s.EffectiveInput(json.RawMessage(input), object)
			if err != nil || string(got) != want {
				t.Errorf("%s (%s): got %s, %v; want %s", template, how, got, err, want)
			}
		}
	}
	for _, template := range []string{``, `{`, `{"a.$":1}`, `{"a.$":"x"}`, `{"a.$":"States.UUID()"}`, `{"a":1,"a.$":"$"}`, `{"a":1,"a":2}`} {
		if _, err := ParseTemplate(json.RawMessage(template)); err == nil {
			t.Errorf("%s: parsed", template)
		}
		s := State{Name: "S", Parameters: &Template{Raw: json.RawMessage(template)}}
		if got, err := s.EffectiveInput(json.RawMessage(input), nil); err == nil {
			t.Errorf("%s made by hand: got %s", template, got)
		}
	}
}

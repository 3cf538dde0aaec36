package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	name := func(s string) step { return step{kind: stepName, name: s} }
	index := func(i int) step { return step{kind: stepIndex, index: i} }
	for text, want := range map[string]struct {
		steps     []step
		reference bool
		context   bool
	}{
		"$":                {[]step{}, true, false},
		"$$":               {[]step{}, false, true},
		"$.a":              {[]step{name("a")}, true, false},
		"$.a.b-c[0]":       {[]step{name("a"), name("b-c"), index(0)}, true, false},
		"$.café.名":         {[]step{name("café"), name("名")}, true, false},
		"$['a b'].c":       {[]step{name("a b"), name("c")}, true, false},
		`$["a'b"]`:         {[]step{name("a'b")}, true, false},
		`$['a\'b\\']`:      {[]step{name(`a'b\`)}, true, false},
		`$['a\"b']`:        {[]step{name(`a\"b`)}, true, false},
		"$['']":            {[]step{name("")}, true, false},
		"$['a']['b' ][ 1]": {[]step{name("a"), name("b"), index(1)}, true, false},
		"$[-1]":            {[]step{index(-1)}, false, false},
		"$.*":              {[]step{{kind: stepWildcard}}, false, false},
		"$.a[*].b":         {[]step{name("a"), {kind: stepWildcard}, name("b")}, false, false},
		"$[1:3]":           {[]step{{kind: stepSlice, index: 1, end: 3, bounded: true}}, false, false},
		"$[:-1]":           {[]step{{kind: stepSlice, end: -1, bounded: true}}, false, false},
		"$[2:]":            {[]step{{kind: stepSlice, index: 2}}, false, false},
		"$$.Execution.Id":  {[]step{name("Execution"), name("Id")}, false, true},
	} {
		p, err := ParsePath(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want.steps, p.steps, cmp.AllowUnexported(step{})); diff != "" {
			t.Errorf("%s: steps (-want +got):\n%s", text, diff)
		}
		if p.IsReference() != want.reference || p.IsContext() != want.context || p.String() != text {
			t.Errorf("%s: reference %v, context %v, text %s", text, p.IsReference(), p.IsContext(), p)
		}
		if byHand := (Path{Text: text}); byHand.IsReference() != want.reference || byHand.IsContext() != want.context {
			t.Errorf("%s made by hand: reference %v, context %v", text, byHand.IsReference(), byHand.IsContext())
		}
	}
	for _, text := range []string{
		"", "a", ".a", "$a", "$.", "$.a.", "$..a", "$.a..b", "$[", "$[]", "$[a]", "$['a]", "$['a'", "$['a'x]", "$[1", "$[1.5]", "$[+1]",
		"$[1,2]", "$['a','b']", "$[?(@.a)]", "$[(@.length-1)]", "$[1:2:3]", "$[a:]", "$[:b]", "$.a()", "$.a b", "$.a\tb", "$.$", "$$$",
		"$[99999999999]", "$." + strings.Repeat("a", maxPath),
	} {
		if p, err := ParsePath(text); err == nil {
			t.Errorf("%.40q: got %v, want an error", text, p.steps)
		}
	}
}

func TestSelect(t *testing.T) {
	const data = ` { "a" : { "b" : [ 10 , {"c": "x]}\""} , [ ] ] , "b\u0062" : 1.50 } , "n" : null, "s": "t", "n":{"last":true},"":0 } `
	for path, want := range map[string]string{
		"$":               `{ "a" : { "b" : [ 10 , {"c": "x]}\""} , [ ] ] , "b\u0062" : 1.50 } , "n" : null, "s": "t", "n":{"last":true},"":0 }`,
		"$.a.b[0]":        `10`,
		"$.a.b[1].c":      `"x]}\""`,
		"$.a.b[2]":        `[ ]`,
		"$.a.b[-1]":       `[ ]`,
		"$.a.b[-3]":       `10`,
		"$.a.bb":          `1.50`,
		"$.n":             `{"last":true}`, // of equal names the last counts
		"$['']":           `0`,
		"$.a.b[*]":        `[10,{"c": "x]}\""},[ ]]`,
		"$.a.b[*].c":      `["x]}\""]`,
		"$.a.b[0:2]":      `[10,{"c": "x]}\""}]`,
		"$.a.b[-2:]":      `[{"c": "x]}\""},[ ]]`,
		"$.a.b[2:1]":      `[]`,
		"$.a.b[-9:9]":     `[10,{"c": "x]}\""},[ ]]`,
		"$.a.*":           `[[ 10 , {"c": "x]}\""} , [ ] ],1.50]`,
		"$.none[*].a":     `[]`,
		"$.s[*]":          `[]`,
		"$.none":          "",
		"$.a.b[3]":        "",
		"$.a.b[-4]":       "",
		"$.a[0]":          "",
		"$.a.b.c":         "",
		"$.s.t":           "",
		"$.s[0]":          "",
		"$.a.b[0].x":      "",
		"$.a.b[*][*]":     `["x]}\""]`,
		"$.a.b[2][0]":     "",
		"$.a.b[*]['c'].x": `[]`,
	} {
		p, err := ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := selectSteps([]byte(data), p.steps)
		if string(got) != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, errNoMatch) {
			t.Errorf("%s: got %s, %v; want %s", path, got, err, want)
		}
	}
}

func TestPlace(t *testing.T) {
	for _, test := range []struct{ data, path, want string }{
		{`{}`, "$.a", `{"a":V}`},
		{` { } `, "$.a", ` { "a":V} `},
		{`{"b":1}`, "$.a", `{"b":1,"a":V}`},
		{`{"a":1}`, "$.a", `{"a":V}`},
		{`{"a": [1, 2] , "b":0}`, "$.a", `{"a": V , "b":0}`},
		{`{"a":1,"a":2}`, "$.a", `{"a":1,"a":V}`},
		{`{}`, "$.a.b.c", `{"a":{"b":{"c":V}}}`},
		{`{"a":{"x":1}}`, "$.a.b", `{"a":{"x":1,"b":V}}`},
		{`{"a":[1,{"b":2}]}`, "$.a[1].b", `{"a":[1,{"b":V}]}`},
		{`{"a":[1,2]}`, "$.a[0]", `{"a":[V,2]}`},
		{`[1,2]`, "$[1]", `[1,V]`},
		{`{"\u0061":1}`, "$.a", `{"\u0061":V}`},
		{`{}`, `$['a"b']`, `{"a\"b":V}`},
		{`{"a":1}`, "$.a.b", ""},
		{`{"a":null}`, "$.a.b", ""},
		{`{"a":[1]}`, "$.a[1]", ""},
		{`{}`, "$.a[0]", ""},
		{`{}`, "$[0]", ""},
		{`[]`, "$.a", ""},
		{`1`, "$.a", ""},
		{`"x"`, "$.a", ""},
	} {
		p, err := ParsePath(test.path)
		if err != nil {
			t.Fatal(err)
		}
		before := test.data
		got, err := place([]byte(test.data), p.steps, []byte("V"))
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s at %s: got %s, %v; want %s", test.data, test.path, got, err, test.want)
		}
		if test.data != before {
			t.Error("the input changed")
		}
	}
}

// randomValue makes a JSON value with names and texts that tempt a scanner.
func randomValue(r *rand.Rand, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return float64(r.IntN(2000)-1000) / 8
	case 3, 4, 5:
		return randomText(r)
	case 6:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	default:
		object := make(map[string]any)
		for range r.IntN(4) {
			object[randomText(r)] = randomValue(r, depth-1)
		}
		return object
	}
}

func randomText(r *rand.Rand) string {
	parts := []string{"a", "b", `"`, `\`, "{", "]", ",", ":", "'", " ", "é", "😀", "\n", "\x01", "$", ".$"}
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// randomSteps goes down a value, most of the time along what is there, and
// returns the path and what plain Go finds.
func randomSteps(r *rand.Rand, v any) (path string, found any, ok bool) {
	path, found, ok = "$", v, true
	for range r.IntN(4) {
		if object, is := found.(map[string]any); is && r.IntN(8) > 0 {
			name := randomText(r)
			for k := range object {
				if r.IntN(2) == 0 {
					name = k
				}
			}
			path += "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "']"
			if found, ok = object[name]; !ok {
				return path, nil, false
			}
			continue
		}
		i := r.IntN(4)
		path += fmt.Sprintf("[%d]", i)
		list, is := found.([]any)
		if !is || i >= len(list) {
			return path, nil, false
		}
		found = list[i]
	}
	return path, found, true
}

// TestPathProperties compares the scanner with plain Go on random values:
// what a path selects, and that a value placed at a path is what it selects
// then, with everything else as it was.
func TestPathProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	selected, placed := 0, 0
	for range 20000 {
		v := randomValue(r, 4)
		data, err := json.MarshalIndent(v, " ", strings.Repeat(" ", r.IntN(3)))
		if err != nil {
			t.Fatal(err)
		}
		text, want, ok := randomSteps(r, v)
		p, err := ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := selectSteps(data, p.steps)
		if (err == nil) != ok {
			t.Fatalf("%s of %s: got %s, %v; want %v", text, data, got, err, want)
		}
		if ok {
			selected++
			if diff := cmp.Diff(want, decode(t, got)); diff != "" {
				t.Fatalf("%s of %s (-want +got):\n%s", text, data, diff)
			}
		}
		if len(p.steps) == 0 {
			continue
		}
		out, err := place(data, p.steps, []byte(`{"placed":[]}`))
		if err != nil {
			if ok {
				t.Fatalf("place at %s in %s: %v", text, data, err)
			}
			continue
		}
		placed++
		back, err := selectSteps(out, p.steps)
		if err != nil || string(back) != `{"placed":[]}` {
			t.Fatalf("placed at %s in %s: %s; selects %s, %v", text, data, out, back, err)
		}
		if !ok {
			continue
		}
		restored, err := place(out, p.steps, got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, decode(t, restored)); diff != "" {
			t.Fatalf("placed at %s in %s and back (-want +got):\n%s", text, data, diff)
		}
	}
	if selected < 5000 || placed < 1000 {
		t.Errorf("only %d selected and %d placed: the test has lost its teeth", selected, placed)
	}
}

// FuzzPath: whatever the path and the data, the data flow answers with valid
// JSON or a Failure.
func FuzzPath(f *testing.F) {
	f.Add("$.a[0]", "$.b.c", []byte(`{"a":[1,{"b":null}]}`))
	f.Add("$.a[*].b", "$['x\\'y']", []byte(`{"a":[{"b":"\u0000"}]}`))
	f.Add("$$.Execution.Input[1:]", "$[0]", []byte(`[1 , 2]`))
	f.Fuzz(func(t *testing.T, in, result string, data []byte) {
		input, err := ParsePath(in)
		if err != nil {
			return
		}
		s := State{Name: "S", Type: Task, InputPath: input}
		if p, err := ParsePath(result); err == nil && p.IsReference() {
			s.ResultPath = p
		}
		valid := json.Valid(data)
		object := &ContextObject{Execution: &Execution{ID: "1"}}
		if valid {
			object.Execution.Input = data
		}
		check := func(out json.RawMessage, err error) {
			var failure *Failure
			switch {
			case err != nil && !errors.As(err, &failure):
				t.Fatalf("not a Failure: %v", err)
			case err == nil && valid && !json.Valid(out):
				t.Fatalf("not JSON: %s", out)
			}
		}
		check(s.EffectiveInput(data, object))
		check(s.EffectiveOutput(data, json.RawMessage(`{"r":1}`), object))
	})
}

package workflow

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite the .want files in testdata/bad: read them before committing")

// TestBadDefinitions parses every file of testdata/bad and compares the report
// with the file's .want, line by line.
func TestBadDefinitions(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if filepath.Ext(file) == ".want" {
			continue
		}
		n++
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d, err := ParseDefinition(filepath.Base(file), data)
			if err == nil || d != nil {
				t.Fatalf("got %v, %v; want an error alone", d, err)
			}
			var fault *Error
			if !errors.As(err, &fault) {
				t.Errorf("not an *Error: %T", err)
			}
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(file+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
	if n < 40 {
		t.Errorf("only %d files in testdata/bad", n)
	}
}

// TestParse reads one definition in both notations, with everything in it.
func TestParse(t *testing.T) {
	fromJSON, err := ParseDefinition("w", []byte("\uFEFF"+`
	{
	  "Comment": "x", "Name": "Finra", "Version": "1.0", "StartAt": "A",
	  "States": {
	    "A": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:fetch-data:$LATEST",
	          "Comment": "c", "InputPath": "$.in", "Parameters": {"a.$": "$.x", "b": [1.50, {"c.$": "$$.Execution.Id"}]},
	          "ResultPath": "$.out['a b'][0]", "OutputPath": null, "Next": "B"},
	    "B": {"Type": "Parallel", "Branches": [{"Comment": "b", "StartAt": "C", "States": {"C": {"Type": "Pass", "Result": {"x": null, "y": 1e3, "z": true}, "End": true}}}],
	          "ResultPath": null, "InputPath": "$", "End": false, "Next": "D"},
	    "D": {"Type": "Fail", "Error": "E", "Cause": "\"\u00e9\ud83d\ude00\n"}
	  }
	}`))
	if err != nil {
		t.Fatal(err)
	}
	fromYAML := mustParse(t, `
Comment: x
StartAt: A
States:
  A: &a
    Type: Task
    Resource: arn:aws:lambda:us-east-1:123456789012:function:fetch-data:$LATEST
    Comment: c
    InputPath: $.in
    Parameters: {a.$: $.x, b: [1.50, {c.$: $$.Execution.Id}]}
    ResultPath: $.out['a b'][0]
    OutputPath: ~
    Next: B
  B:
    Type: Parallel
    Branches:
    - Comment: b
      StartAt: C
      States: {C: {Type: Pass, Result: {x: , y: 1e3, z: True}, End: true}}
    ResultPath: null
    Next: D
  D: {Type: Fail, Error: E, Cause: "\"é😀\n"}
`)
	want := `{"Comment":"x","StartAt":"A","States":{` +
		`"A":{"Type":"Task","Comment":"c","InputPath":"$.in","Parameters":{"a.$":"$.x","b":[1.50,{"c.$":"$$.Execution.Id"}]},` +
		`"Resource":"arn:aws:lambda:us-east-1:123456789012:function:fetch-data:$LATEST","ResultPath":"$.out['a b'][0]","OutputPath":null,"Next":"B"},` +
		`"B":{"Type":"Parallel","Branches":[{"Comment":"b","StartAt":"C","States":{"C":{"Type":"Pass","Result":{"x":null,"y":1e3,"z":true},"End":true}}}],` +
		`"ResultPath":null,"Next":"D"},` +
		`"D":{"Type":"Fail","Error":"E","Cause":"\"é😀\n"}}}`
	for notation, d := range map[string]*Definition{"JSON": fromJSON, "YAML": fromYAML} {
		got, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s:\n%s", notation, cmp.Diff(want, string(got)))
		}
		if !d.UsesContext() || d.States["B"].Branches[0].UsesContext() {
			t.Errorf("%s: UsesContext: %v of the whole, %v of the branch", notation, d.UsesContext(), d.States["B"].Branches[0].UsesContext())
		}
	}
	if !fromJSON.Equal(fromYAML) {
		t.Error("not Equal")
	}
	a := fromJSON.States["A"]
	if a.Function != "fetch-data" {
		t.Errorf("function %q", a.Function)
	}
	if want := (Position{File: "w", Line: 5, Column: 6}); a.Pos != want {
		t.Errorf("position %v, want %v", a.Pos, want)
	}
	if fromJSON.Equal(fromJSON.States["B"].Branches[0]) || fromJSON.Equal(nil) {
		t.Error("Equal to another")
	}
}

// TestParseBounds: hostile files are refused, and quickly.
func TestParseBounds(t *testing.T) {
	state := func(inner string) string {
		return `{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Result": ` + inner + `}}}`
	}
	const deepest = maxDepth - 3 // Result is at depth 3
	tests := []struct{ name, file, text, want string }{
		{"as deep as allowed", "x.json", state(strings.Repeat("[", deepest) + strings.Repeat("]", deepest)), ""},
		{"as deep as allowed in YAML", "x.yaml", state(strings.Repeat("[", deepest) + strings.Repeat("]", deepest)), ""},
		{"deeper", "x.json", state(strings.Repeat("[", deepest+2) + strings.Repeat("]", deepest+2)), "nested deeper"},
		{"deeper in YAML", "x.yaml", state(strings.Repeat("[", deepest+2) + strings.Repeat("]", deepest+2)), "nested deeper"},
		{"only brackets", "x.json", strings.Repeat("[", maxSource), "nested deeper"},
		{"only brackets in YAML", "x.yaml", strings.Repeat("[", maxSource), "exceeded max depth"},
		{"only braces", "", strings.Repeat(`{"a":`, maxSource/5), "nested deeper"},
		{"as large as allowed", "x.json", state(`"` + strings.Repeat("x", maxSource-len(state(`""`))) + `"`), ""},
		{"larger", "x.json", state(`"` + strings.Repeat("x", maxSource) + `"`), "larger than 1024 KiB"},
		{"many faults", "x.json", `{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true` + strings.Repeat(`, "Foo": 1`, 50000) + `}}}`, "49900 more faults"},
		{"a long chain", "x.json", chainOf(10000), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, err := ParseDefinition(test.file, []byte(test.text))
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %.300v; want %q", err, test.want)
			}
		})
	}
}

// chainOf is a definition of n Pass states in JSON.
func chainOf(n int) string {
	var b strings.Builder
	b.WriteString(`{"StartAt": "S0", "States": {`)
	for i := range n {
		fmt.Fprintf(&b, `"S%d": {"Type": "Pass", "Next": "S%d"}, `, i, i+1)
	}
	fmt.Fprintf(&b, `"S%d": {"Type": "Succeed"}}}`, n)
	return b.String()
}

// FuzzParseDefinition: no input panics, and what parses becomes an equal
// definition again when it is written and read.
func FuzzParseDefinition(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.json", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(filepath.Ext(file), data)
		}
	}
	f.Add(".yaml", []byte(nested))
	f.Add("", []byte(oneTask))
	f.Fuzz(func(t *testing.T, extension string, data []byte) {
		d, err := ParseDefinition("x"+extension, data)
		if err != nil {
			if d != nil || err.Error() == "" {
				t.Fatalf("got %v, %v", d, err)
			}
			return
		}
		written, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseDefinition("again.json", written)
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if diff := cmp.Diff(d, again, cmpopts.IgnoreTypes(Position{}), cmp.AllowUnexported(Definition{}, State{}, Path{}, Template{}, segment{}, step{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("not equal:\n%s", diff)
		}
		if !d.Equal(again) {
			t.Fatal("not Equal")
		}
		for _, stage := range d.Stages() {
			if len(stage.Root.Tasks()) == 0 {
				t.Fatal("a stage without tasks")
			}
		}
	})
}

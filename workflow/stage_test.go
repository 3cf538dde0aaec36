package workflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// mustParse takes YAML.
func mustParse(t testing.TB, text string) *Definition {
	t.Helper()
	d, err := ParseDefinition("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// nested has a Parallel in a branch of several states, Pass states everywhere,
// and its states out of order.
const nested = `
StartAt: First
States:
  Last: {Type: Task, Resource: f, End: true}
  Idle:
    Type: Parallel
    Branches:
    - {StartAt: I1, States: {I1: {Type: Pass, End: true}}}
    Next: Alone
  Alone:
    Type: Parallel
    Branches:
    - StartAt: S1
      States:
        S1: {Type: Task, Resource: f, Next: S2}
        S2: {Type: Task, Resource: f, End: true}
    Next: Last
  First: {Type: Pass, Next: T1}
  T1: {Type: Task, Resource: f, Next: P}
  P:
    Type: Parallel
    Next: Idle
    Branches:
    - StartAt: A1
      States:
        A2: {Type: Task, Resource: g, Next: A3}
        A1: {Type: Task, Resource: f, Next: Ap}
        Ap: {Type: Pass, Next: A2}
        A3:
          Type: Parallel
          Branches:
          - {StartAt: X, States: {X: {Type: Task, Resource: f, End: true}}}
          - {StartAt: Y, States: {Y: {Type: Task, Resource: f, Next: Z}, Z: {Type: Fail, Error: E}}}
          Next: A4
        A4:
          Type: Parallel
          Branches:
          - {StartAt: U, States: {U: {Type: Task, Resource: f, Next: V}, V: {Type: Task, Resource: f, End: true}}}
          End: true
    - {StartAt: B1, States: {B1: {Type: Pass, End: true}}}
    - {StartAt: C1, States: {C1: {Type: Task, Resource: f, Next: C2}, C2: {Type: Succeed}}}
`

// blockText writes a tree with ; for series and | for parallel.
func blockText(b *Block) string {
	if b.Kind == BlockTask {
		return b.Task.Name
	}
	parts := make([]string, len(b.Children))
	for i, c := range b.Children {
		parts[i] = blockText(c)
	}
	return "(" + strings.Join(parts, map[BlockKind]string{BlockSeries: " ; ", BlockParallel: " | "}[b.Kind]) + ")"
}

func TestStages(t *testing.T) {
	d := mustParse(t, nested)
	var got []string
	for i, s := range d.Stages() {
		if s.Index != i {
			t.Errorf("stage %d has index %d", i, s.Index)
		}
		names := make([]string, 0)
		for _, task := range s.Root.Tasks() {
			names = append(names, task.Name)
		}
		got = append(got, fmt.Sprintf("%s: %s: %s", s.State.Name, blockText(s.Root), strings.Join(names, ",")))
	}
	want := []string{
		"T1: T1: T1",
		"P: ((A1 ; A2 ; (X | Y) ; U ; V) | C1): A1,A2,X,Y,U,V,C1",
		"Alone: (S1 ; S2): S1,S2", // a parallel of one is that one
		"Last: Last: Last",        // and Idle, without a Task, is no stage
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var tasks []string
	for _, s := range d.Tasks() {
		tasks = append(tasks, s.Name)
	}
	if got, want := strings.Join(tasks, " "), "T1 A1 A2 X Y U V C1 S1 S2 Last"; got != want {
		t.Errorf("tasks: got %s, want %s", got, want)
	}
	for _, name := range []string{"Last", "Z", "V", "I1"} {
		if s, ok := d.State(name); !ok || s.Name != name {
			t.Errorf("State(%q): %v, %v", name, s, ok)
		}
	}
	if s, ok := d.State("Nobody"); ok {
		t.Errorf("State(Nobody): %v", s)
	}
}

func TestWidth(t *testing.T) {
	d := mustParse(t, nested)
	for names, want := range map[string]int{
		"": 0, "T1": 1, "T1 Last S1 S2": 1, "X Y": 2, "A1 X Y U": 2, "X Y U V": 2, "A1 A2 U V": 1,
	} {
		of := strings.Fields(names)
		if got := d.Width(func(task string) bool { return slices.Contains(of, task) }); got != want {
			t.Errorf("width of %q is %d, want %d", names, got, want)
		}
	}
	if got := d.Width(nil); got != 3 { // X, Y and what is beside them
		t.Errorf("width of all is %d", got)
	}
}

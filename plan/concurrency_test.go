package plan

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chiron-faas/chiron/workflow"
)

func TestSetConcurrency(t *testing.T) {
	tasks := make([]string, 200)
	for i := range tasks {
		tasks[i] = fmt.Sprintf("T%d", i)
	}
	wide := definition(t, tasks...)
	// The same tasks as two branches of a hundred, one after the other.
	text := `{"StartAt":"All","States":{"All":{"Type":"Parallel","End":true,"Branches":[`
	for b := range 2 {
		if b > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"StartAt":"T%d","States":{`, 100*b)
		for i := 100 * b; i < 100*b+99; i++ {
			text += fmt.Sprintf(`"T%d":{"Type":"Task","Resource":"f","Next":"T%d"},`, i, i+1)
		}
		text += fmt.Sprintf(`"T%d":{"Type":"Task","Resource":"f","End":true}}}`, 100*b+99)
	}
	long, err := workflow.ParseDefinition("w.asl.json", []byte(text+`]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		definition   *workflow.Definition
		n, cpus      int
		processes    []Process
		had, want    int
		wantedInside int
	}{
		"few tasks":              {wide, 0, 1, []Process{pool("First"), pool(tasks[:8]...)}, 0, 0, DefaultConcurrency},
		"a process of many":      {wide, 0, 1, []Process{pool(tasks[:100]...)}, 0, 2, 2},
		"on more CPUs":           {wide, 0, 4, []Process{pool(tasks[:100]...)}, 0, 10, 10},
		"of several processes":   {wide, 0, 2, []Process{pool(tasks[:106]...), pool(tasks[106:]...)}, 0, 2, 2},
		"more than threads":      {wide, 0, 1, []Process{pool(tasks...), pool("First")}, 0, 1, 1},
		"a CPU for each":         {wide, 0, 200, []Process{pool(tasks...)}, 0, 0, DefaultConcurrency},
		"one after the other":    {long, 0, 1, []Process{pool(tasks...)}, 0, 0, DefaultConcurrency},
		"as asked":               {wide, 40, 1, []Process{pool(tasks...)}, 0, 40, 40},
		"as asked, and not kept": {wide, 5, 1, []Process{pool(tasks...)}, 9, 5, 5},
		"nothing kept":           {wide, 0, 1, []Process{pool("First")}, 9, 0, DefaultConcurrency},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Plan{Wraps: []Wrap{{CPUs: c.cpus, Concurrency: c.had, Processes: c.processes}}}
			p.SetConcurrency(c.definition, c.n)
			if w := p.Wraps[0]; w.Concurrency != c.want || w.MaxInside() != c.wantedInside {
				t.Errorf("concurrency %d, at most %d inside; want %d and %d", w.Concurrency, w.MaxInside(), c.want, c.wantedInside)
			}
		})
	}
}

// A request is in all wraps that call each other, and in one at a time of those that
// an orchestrator calls.
func TestSetConcurrencyOfWraps(t *testing.T) {
	tasks := make([]string, 100)
	for i := range tasks {
		tasks[i] = fmt.Sprintf("T%d", i)
	}
	d := definition(t, tasks...)
	for calls, want := range map[Calls][]int{Direct: {2, 2}, ThroughGateway: {0, 2}} {
		p := &Plan{Calls: calls, Wraps: []Wrap{{CPUs: 1, Processes: []Process{pool("First")}}, {CPUs: 1, Processes: []Process{pool(tasks...)}}}}
		p.SetConcurrency(d, 0)
		if got := []int{p.Wraps[0].Concurrency, p.Wraps[1].Concurrency}; !slices.Equal(got, want) {
			t.Errorf("calls %q: %d at once, want %d", calls, got, want)
		}
	}
}

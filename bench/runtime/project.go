package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/plan"
)

// project is a workflow that an experiment makes for itself.
type project struct {
	name string // of letters, digits and -
	// runtime is the Python, as a function declares it; empty: the default.
	runtime string
	// functions are the handlers' files by function.
	functions map[string]string
	// definition is what it says as JSON.
	definition any
	// wraps have their processes; the rest is filled in: the machine's CPUs are
	// divided among them.
	wraps []plan.Wrap
	// pinned has each process on a CPU of its own where there are as many, as
	// searched plans have it; otherwise every one may use all.
	pinned bool
}

// object is a JSON object.
type object = map[string]any

// task is a Task state that calls the function of its name in lower case.
func task(name, next string) object {
	state := object{"Type": "Task", "Resource": strings.ToLower(name)}
	if next == "" {
		state["End"] = true
	} else {
		state["Next"] = next
	}
	return state
}

// parallel is a Parallel state with a task in each of its branches.
func parallel(tasks []string, next string) object {
	var branches []object
	for _, name := range tasks {
		branches = append(branches, object{"StartAt": name, "States": object{name: task(name, "")}})
	}
	state := object{"Type": "Parallel", "Branches": branches}
	if next == "" {
		state["End"] = true
	} else {
		state["Next"] = next
	}
	return state
}

// plan fills in what is the same for all plans here.
func (p *project) plan() (*plan.Plan, error) {
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, err
	}
	made := &plan.Plan{Workflow: p.name, Model: "bench"}
	for i, w := range p.wraps {
		w.Name, w.CPUs = fmt.Sprintf("wrap-%d", i+1), max(1, len(cpus)/len(p.wraps))
		pinned := p.pinned && len(w.Processes) <= w.CPUs
		if pinned {
			w.CPUs = len(w.Processes)
		}
		for j := range w.Processes {
			w.Processes[j].CPU = plan.Unpinned
			if pinned {
				w.Processes[j].CPU = j
			}
		}
		made.Wraps = append(made.Wraps, w)
	}
	return made, nil
}

// write writes it, its plan included, so that nothing is measured to serve it.
func (p *project) write(dir string) error {
	made, err := p.plan()
	if err != nil {
		return err
	}
	definition, err := json.Marshal(p.definition)
	if err != nil {
		return err
	}
	language := "python"
	if p.runtime != "" {
		language += ", runtime: " + strconv.Quote(p.runtime)
	}
	text := "name: " + p.name + "\ndefinition: workflow.asl.json\nfunctions:\n"
	errs := []error{os.MkdirAll(dir, 0o700)}
	for name, code := range p.functions {
		text += "  " + name + ": {handler: " + name + ".py, lang: " + language + "}\n"
		errs = append(errs, os.WriteFile(filepath.Join(dir, name+".py"), []byte(code), 0o600))
	}
	return errors.Join(append(errs,
		os.WriteFile(filepath.Join(dir, "chiron.yaml"), []byte(text), 0o600),
		os.WriteFile(filepath.Join(dir, "workflow.asl.json"), definition, 0o600),
		plan.Write(filepath.Join(dir, "plan.json"), made))...)
}

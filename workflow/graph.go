package workflow

import (
	"fmt"
	"strings"
)

// successors are the states that may follow s in its Definition. Graph checks
// use nothing else, so that a state with several ways out needs no other code.
func (s *State) successors() []string {
	if s.Next == "" {
		return nil
	}
	return []string{s.Next}
}

// checkGraph checks one Definition: where it starts, that every Next exists,
// that every state can be reached, and that no state leads back to itself.
func (p *parser) checkGraph(d *Definition, startAt *node) {
	started := false
	switch _, ok := d.States[d.StartAt]; {
	case startAt == nil:
		p.faults.add(d.Pos, "", `"StartAt" is missing`, "name the state that runs first")
	case startAt.kind != stringNode:
	case !ok && len(d.Order) > 0:
		p.faults.add(startAt.pos, "", fmt.Sprintf("StartAt names no state: %q", d.StartAt), p.nearState(d, d.StartAt, ""))
	default:
		started = ok
	}
	for _, name := range d.Order {
		s := d.States[name]
		for _, next := range s.successors() {
			if _, ok := d.States[next]; !ok {
				p.faults.add(s.NextPos, s.Name, fmt.Sprintf("Next names no state: %q", next), p.nearState(d, next, s.Name))
			}
		}
	}
	p.checkCycles(d)
	if started {
		p.checkReached(d)
	}
}

// nearState hints at the state that a wrong name may mean.
func (p *parser) nearState(d *Definition, name, self string) string {
	others := make([]string, 0, len(d.Order))
	for _, o := range d.Order {
		if o != self {
			others = append(others, o)
		}
	}
	if _, elsewhere := p.names[name]; elsewhere {
		return "a state of that name is in another Parallel or branch: Next stays within one"
	}
	return hints(didYouMean(name, others), listed("states here", others))
}

// checkReached judges nothing where a reached state has a fault that hides
// where it leads.
func (p *parser) checkReached(d *Definition) {
	reached := map[string]bool{d.StartAt: true}
	for queue := []string{d.StartAt}; len(queue) > 0; queue = queue[1:] {
		s := d.States[queue[0]]
		successors := s.successors()
		if k, _ := kindOf(s.Type); !k.terminal && s.End == (len(successors) > 0) {
			return // goes on and ends, or neither; or its type is unknown
		}
		for _, next := range successors {
			if _, ok := d.States[next]; !ok {
				return
			}
			if !reached[next] {
				reached[next] = true
				queue = append(queue, next)
			}
		}
	}
	for _, name := range d.Order {
		if !reached[name] {
			p.faults.add(d.States[name].Pos, name, "is never reached", fmt.Sprintf("StartAt %q and the states after it do not lead here", d.StartAt))
		}
	}
}

// checkCycles reports each cycle once, at its state that the file has first.
func (p *parser) checkCycles(d *Definition) {
	const (
		unseen = iota
		open   // on the way that is being walked
		done
	)
	mark := make(map[string]int, len(d.States))
	var way []string
	var walk func(name string)
	walk = func(name string) {
		mark[name] = open
		way = append(way, name)
		for _, next := range d.States[name].successors() {
			if _, ok := d.States[next]; !ok {
				continue
			}
			switch mark[next] {
			case unseen:
				walk(next)
			case open:
				p.reportCycle(d, way, next)
			}
		}
		way = way[:len(way)-1]
		mark[name] = done
	}
	for _, name := range d.Order {
		if mark[name] == unseen {
			walk(name)
		}
	}
}

func (p *parser) reportCycle(d *Definition, way []string, first string) {
	i := len(way) - 1
	for way[i] != first {
		i--
	}
	cycle := way[i:]
	const most = 10
	names := append([]string{}, cycle[:min(len(cycle), most)]...)
	if len(cycle) > most {
		names = append(names, "…")
	}
	names = append(names, first)
	last := d.States[cycle[len(cycle)-1]]
	p.faults.add(last.NextPos, last.Name, "a cycle: "+strings.Join(names, " → "), "a workflow must come to an end")
}

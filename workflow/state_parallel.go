package workflow

import "fmt"

func parallelKind() stateKind {
	return stateKind{
		paths: true, result: true,
		fields: []string{"Branches"},
		read: func(p *parser, s *State, f field) bool {
			if f.name != "Branches" {
				return false
			}
			p.branches(s, f.value)
			return true
		},
		check: func(p *parser, s *State, n *node) {
			if n.get("Branches") == nil {
				p.faults.add(s.Pos, s.Name, `a Parallel needs "Branches"`, "an array of objects with StartAt and States")
			}
		},
	}
}

func (p *parser) branches(s *State, n *node) {
	if n.kind != arrayNode {
		p.faults.add(n.pos, s.Name, fmt.Sprintf(`"Branches" must be an array, not %s`, n.kind), "")
		return
	}
	if len(n.items) == 0 {
		p.faults.add(n.pos, s.Name, `"Branches" is empty`, "a Parallel has at least one branch")
	}
	for _, item := range n.items {
		if b := p.definition(item, false); b != nil {
			s.Branches = append(s.Branches, b)
		}
	}
}

package workflow

import (
	"fmt"
	"strings"
)

func taskKind() stateKind {
	return stateKind{
		paths: true, result: true,
		fields: []string{"Resource"},
		read: func(p *parser, s *State, f field) bool {
			if f.name != "Resource" {
				return false
			}
			s.Resource = p.text(f, s.Name)
			if f.value.kind == stringNode {
				p.resource(s, f.value.pos)
			}
			return true
		},
		check: func(p *parser, s *State, n *node) {
			if n.get("Resource") == nil {
				p.faults.add(s.Pos, s.Name, `a Task needs a "Resource"`, "name a function of the project")
			}
		},
	}
}

// resource finds the function that a Task's Resource names: the Resource
// itself, or the last segment of a Lambda function's ARN,
// arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER].
func (p *parser) resource(s *State, pos Position) {
	s.ResourcePos = pos
	name := s.Resource
	if strings.HasPrefix(name, "arn:") {
		parts := strings.Split(name, ":")
		switch {
		case len(parts) >= 7 && len(parts) <= 8 && parts[2] == "lambda" && parts[5] == "function":
			name = parts[6]
		case len(parts) > 2 && parts[2] == "states":
			p.faults.add(pos, s.Name, fmt.Sprintf("service integration %q is not supported yet", s.Resource),
				`name the function itself: "Resource": "NAME"`)
			return
		default:
			p.faults.add(pos, s.Name, fmt.Sprintf("Resource %q is not a Lambda function's ARN", s.Resource),
				"write arn:aws:lambda:REGION:ACCOUNT:function:NAME, or NAME alone")
			return
		}
	}
	if problem := checkFunctionName(name); problem != "" {
		p.faults.add(pos, s.Name, fmt.Sprintf("Resource %q: %s", s.Resource, problem), "name a function of the project")
		return
	}
	s.Function = name
}

// maxFunctionName in bytes: a function's name becomes a label in DNS and a
// folder of the bundle.
const maxFunctionName = 63

// checkFunctionName says what is wrong with a function's name, or "".
func checkFunctionName(name string) string {
	switch {
	case name == "":
		return "the function's name is empty"
	case len(name) > maxFunctionName:
		return fmt.Sprintf("the function's name is longer than %d characters", maxFunctionName)
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_') {
			return "a function's name is letters, digits, - and _, and begins with a letter or digit"
		}
	}
	return ""
}

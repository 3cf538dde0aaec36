package workflow

// stateKind is what the parser knows of a state type. Each type has a file of
// its own, state_TYPE.go, which says how its fields are read and checked; what
// it does at run time is in run.go.
type stateKind struct {
	// terminal types have neither Next nor End.
	terminal bool
	// paths: InputPath and OutputPath. result: Parameters and ResultPath.
	paths, result bool
	// fields of its own, for hints.
	fields []string
	// read takes one of the type's own fields; false: the type has no such.
	read func(p *parser, s *State, f field) bool
	// check what only the whole state shows; may be nil.
	check func(p *parser, s *State, n *node)
}

// names of all fields that the type may have.
func (k stateKind) names() []string {
	names := []string{"Type", "Comment"}
	if !k.terminal {
		names = append(names, "Next", "End")
	}
	if k.paths {
		names = append(names, "InputPath", "OutputPath")
	}
	if k.result {
		names = append(names, "Parameters", "ResultPath")
	}
	return append(names, k.fields...)
}

func supportedTypes() []string {
	return []string{string(Task), string(Parallel), string(Pass), string(Succeed), string(Fail)}
}

func kindOf(t StateType) (stateKind, bool) {
	switch t {
	case Task:
		return taskKind(), true
	case Parallel:
		return parallelKind(), true
	case Pass:
		return passKind(), true
	case Succeed:
		return succeedKind(), true
	case Fail:
		return failKind(), true
	}
	return stateKind{}, false
}

// laterFields are those that the specification gives a type and that are not
// supported yet.
func laterFields(t StateType) []string {
	later := []string{"QueryLanguage"}
	if t != Fail {
		later = append(later, "Output")
	}
	if t != Fail && t != Succeed {
		later = append(later, "Assign")
	}
	switch t {
	case Task:
		return append(later, "Arguments", "ResultSelector", "Retry", "Catch", "Credentials",
			"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath")
	case Parallel:
		return append(later, "Arguments", "ResultSelector", "Retry", "Catch")
	case Fail:
		return append(later, "ErrorPath", "CausePath")
	}
	return later
}

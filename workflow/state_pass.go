package workflow

func passKind() stateKind {
	return stateKind{
		paths: true, result: true,
		fields: []string{"Result"},
		read: func(_ *parser, s *State, f field) bool {
			if f.name != "Result" {
				return false
			}
			s.Result = value(f.value)
			return true
		},
	}
}

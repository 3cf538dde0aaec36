package workflow

func succeedKind() stateKind {
	return stateKind{
		terminal: true, paths: true,
		read: func(*parser, *State, field) bool { return false },
	}
}

func failKind() stateKind {
	return stateKind{
		terminal: true,
		fields:   []string{"Error", "Cause"},
		read: func(p *parser, s *State, f field) bool {
			switch f.name {
			case "Error":
				s.Error = p.text(f, s.Name)
			case "Cause":
				s.Cause = p.text(f, s.Name)
			default:
				return false
			}
			return true
		},
	}
}

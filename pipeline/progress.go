package pipeline

// Progress is told what a step is doing. It is called from the step's own
// goroutine; nil: nobody listens.
type Progress func(Note)

// Note is one thing that a step has to say while it works.
type Note struct {
	// Step is the stretch of the way: "profile", "calibrate", "plan", "bundle",
	// "deploy", "measure".
	Step string
	// Text says what is being done, in a line.
	Text string
	// Done of Total; Total 0: not counted.
	Done, Total int
	// Passing notes are only worth showing where they can be replaced by the
	// next: on a terminal.
	Passing bool
}

func (p Progress) tell(n Note) {
	if p != nil {
		p(n)
	}
}

package workflow

// Rules are what a project asks of every plan of it beyond the objective:
// apart, together and limits. The zero Rules ask for nothing.
type Rules struct {
	// Apart: no two members of a rule share a wrap.
	Apart []Rule
	// Together: all members of a rule share one wrap. Rules that name the same
	// task make one group together.
	Together []Rule
	Limits   Limits
}

// Rule is one list of apart or together: two members at least, no task twice.
type Rule struct {
	Members []Member
	Pos     Position
}

// Member is what one name of a Rule stands for.
type Member struct {
	// Name as the user wrote it: of a function or of a Task state.
	Name string
	// Tasks are the Task states: the one, or all that call the function, in the
	// order of Definition.Tasks.
	Tasks []string
	Pos   Position
}

// Limits bound what a plan may use. 0 is no bound.
type Limits struct {
	// Memory and CPUs that each wrap may be given, bytes and whole CPUs.
	Memory int64
	CPUs   int
	// Wraps that the plan may have.
	Wraps int
}

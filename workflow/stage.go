package workflow

// Stage is a top-level step of the workflow whose functions may run at the
// same time: a Task is a stage of one, a Parallel a stage of everything in its
// branches. Pass, Succeed and Fail are no stages: they take no function.
type Stage struct {
	// Index counts from 0 in the order of execution.
	Index int
	// State is the top-level Task or Parallel.
	State *State
	// Root is the stage's series-parallel tree.
	Root *Block
}

// BlockKind says how a Block's children run.
type BlockKind int

// The kinds of Block.
const (
	BlockTask     BlockKind = iota // one Task state, no children
	BlockSeries                    // children one after the other
	BlockParallel                  // children at the same time
)

// Block is a node of a stage's series-parallel tree. Its leaves are the Task
// states; Pass states vanish, a series of one and a parallel of one are that
// one, and no series is the child of a series.
type Block struct {
	Kind     BlockKind
	Task     *State // of a BlockTask
	Children []*Block
}

// Tasks returns the tree's Task states, depth first, in the order of the
// definition.
func (b *Block) Tasks() []*State {
	if b == nil {
		return nil
	}
	if b.Kind == BlockTask {
		return []*State{b.Task}
	}
	var tasks []*State
	for _, c := range b.Children {
		tasks = append(tasks, c.Tasks()...)
	}
	return tasks
}

// Strands are the series of tasks that run beside each other: each branch's own
// tasks, and those of every Parallel inside it.
func (b *Block) Strands() [][]string {
	switch b.Kind {
	case BlockTask:
		return [][]string{{b.Task.Name}}
	case BlockSeries:
		var own []string
		var inner [][]string
		for _, c := range b.Children {
			if c.Kind == BlockTask {
				own = append(own, c.Task.Name)
			} else {
				inner = append(inner, c.Strands()...)
			}
		}
		if own == nil {
			return inner
		}
		return append([][]string{own}, inner...)
	default:
		var all [][]string
		for _, c := range b.Children {
			all = append(all, c.Strands()...)
		}
		return all
	}
}

// Stages returns the workflow's stages in the order of execution. A Parallel
// whose branches have no Task takes no function and is no stage.
func (d *Definition) Stages() []Stage {
	var stages []Stage
	for s := range d.chain {
		if root := s.block(); root != nil {
			stages = append(stages, Stage{Index: len(stages), State: s, Root: root})
		}
	}
	return stages
}

// Tasks returns all Task states, branches included, in the order of execution,
// depth first.
func (d *Definition) Tasks() []*State {
	var tasks []*State
	for s := range d.chain {
		if s.Type == Task {
			tasks = append(tasks, s)
		}
		for _, b := range s.Branches {
			tasks = append(tasks, b.Tasks()...)
		}
	}
	return tasks
}

// Width is the most tasks that may run at the same time, of those that of names;
// nil: of all.
func (d *Definition) Width(of func(task string) bool) int {
	most := 0
	for _, s := range d.States {
		most = max(most, s.Width(of))
	}
	return most
}

// Width is the state's own, as Definition.Width.
func (s *State) Width(of func(task string) bool) int {
	if s.Type == Task && (of == nil || of(s.Name)) {
		return 1
	}
	sum := 0
	for _, b := range s.Branches {
		sum += b.Width(of)
	}
	return sum
}

// State finds a state by name, branches included.
func (d *Definition) State(name string) (*State, bool) {
	if s, ok := d.States[name]; ok {
		return s, true
	}
	for _, n := range d.Order {
		for _, b := range d.States[n].Branches {
			if s, ok := b.State(name); ok {
				return s, true
			}
		}
	}
	return nil, false
}

// chain yields the states of d from StartAt to the end.
func (d *Definition) chain(yield func(*State) bool) {
	name := d.StartAt
	for range d.States { // bounds the walk where Next leads back
		s, ok := d.States[name]
		if !ok || !yield(s) || s.End {
			return
		}
		name = s.Next
	}
}

// block is the state's series-parallel tree, or nil where it has no Task.
func (s *State) block() *Block {
	if s.Type == Task {
		return &Block{Kind: BlockTask, Task: s}
	}
	branches := make([]*Block, 0, len(s.Branches))
	for _, b := range s.Branches {
		if child := b.series(); child != nil {
			branches = append(branches, child)
		}
	}
	return joinBlocks(BlockParallel, branches)
}

// series is the tree of a branch, or nil where it has no Task.
func (d *Definition) series() *Block {
	var steps []*Block
	for s := range d.chain {
		child := s.block()
		switch {
		case child == nil:
		case child.Kind == BlockSeries: // a Parallel of one branch
			steps = append(steps, child.Children...)
		default:
			steps = append(steps, child)
		}
	}
	return joinBlocks(BlockSeries, steps)
}

// joinBlocks makes one block of several; of one, that one; of none, nil.
func joinBlocks(kind BlockKind, children []*Block) *Block {
	switch len(children) {
	case 0:
		return nil
	case 1:
		return children[0]
	}
	return &Block{Kind: kind, Children: children}
}

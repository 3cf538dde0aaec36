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
// states; Pass states vanish, and a series of one is that one.
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

package pgp

import (
	"slices"
	"time"
)

// move changes two processes: one of from's tasks goes to another process, and
// one may come back; or the two exchange all their tasks.
type move struct {
	from, to    int
	goes, comes int // tasks; -1: none
	all         bool
	// estimate of when the later of the two ends, from when they end now and how
	// long the tasks that move compute.
	estimate time.Duration
}

// sets of the two processes after a move.
func (b *board) after(m move) (forFrom, forTo []int) {
	if m.all {
		return b.sets[m.to], b.sets[m.from]
	}
	return b.st.exchanged(b.sets[m.from], m.goes, m.comes), b.st.exchanged(b.sets[m.to], m.comes, m.goes)
}

// shortlist keeps the moves with the least estimates; of equals the first.
type shortlist struct {
	moves []move
	most  int
}

// bar is what an estimate has to be under.
func (l *shortlist) bar() time.Duration {
	if len(l.moves) < l.most {
		return hopeless.latency
	}
	return l.moves[l.most-1].estimate
}

func (l *shortlist) add(m move) {
	if m.estimate >= l.bar() {
		return
	}
	at := len(l.moves)
	for at > 0 && l.moves[at-1].estimate > m.estimate {
		at--
	}
	if len(l.moves) == l.most {
		l.moves = l.moves[:l.most-1]
	}
	l.moves = slices.Insert(l.moves, at, m)
}

// promising lists the moves that take work from process x, those that are
// estimated to end soonest first. Moves after which a process computes until
// limit or longer are left out, and those that are barred.
func (b *board) promising(x, most int, limit time.Duration, barred func(m move) bool) []move {
	list := shortlist{most: most}
	late := func(j int) time.Duration { return b.w.s.composition.late(b.sh.slots[j].mode) }
	beginX, computesX := b.offsets[x]+b.ends[x], b.busy[x]
	lefts := b.ofEachKind(x, nil)
	for y := range b.sets {
		if y == x || b.sh.slots[y].group != b.sh.slots[x].group {
			continue
		}
		offset := b.offsets[y]
		if !b.used[y] { // what the first task of a process costs
			offset = b.w.s.composition.begins(b.sh, b.st)[y]
		}
		endX, endY := beginX, offset+b.ends[y]
		consider := func(m move) {
			if m.estimate < list.bar() && (barred == nil || !barred(m)) {
				list.add(m)
			}
		}
		rights := append(b.ofEachKind(y, nil), -1)
		for _, l := range lefts {
			if !b.may(l, y) {
				continue
			}
			for _, r := range rights {
				moved := b.st.work[l].cpu
				longest := offset + b.st.work[l].duration
				if r >= 0 {
					if b.st.kinds[l] == b.st.kinds[r] || !b.may(r, x) {
						continue
					}
					moved -= b.st.work[r].cpu
					longest = max(longest, b.offsets[x]+b.st.work[r].duration)
				}
				if max(b.offsets[x]+computesX-moved, offset+b.busy[y]+moved, longest) >= limit {
					continue
				}
				consider(move{from: x, to: y, goes: l, comes: r, estimate: max(endX-moved, endY+moved, longest)})
			}
		}
		if len(b.w.s.together) == 0 && b.w.s.limits.Memory == 0 && len(b.sets[x])+len(b.sets[y]) > 2 {
			more := late(y) - late(x)
			consider(move{from: x, to: y, goes: -1, comes: -1, all: true, estimate: max(
				b.offsets[x]+b.ends[y]-more, offset+b.ends[x]+more)})
		}
	}
	return list.moves
}

// last is the first process that ends last.
func (b *board) last() int {
	for j, end := range b.ends {
		if b.used[j] && end+b.offsets[j] == b.score.latency {
			return j
		}
	}
	return 0
}

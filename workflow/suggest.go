package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean is a hint with the candidate closest to a name, or empty where
// none is close.
func didYouMean(name string, candidates []string) string {
	if c := closest(name, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// closest returns the candidate that differs least from name, or "": two
// letters may differ, one in short names.
func closest(name string, candidates []string) string {
	const longest = 100 // bounds the work that a hostile name can ask for
	if len(name) > longest {
		return ""
	}
	limit := 2
	if len(name) <= 4 {
		limit = 1
	}
	best, bestDistance := "", limit+1
	for _, c := range candidates {
		if len(c) > longest || c == name {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours, each at cost 1.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before := make([]int, len(y)+1)
	last := make([]int, len(y)+1)
	this := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		this[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			this[j+1] = min(last[j+1]+1, this[j]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				this[j+1] = min(this[j+1], before[j-1]+1)
			}
		}
		before, last, this = last, this, before
	}
	return last[len(y)]
}

// listed is a hint that names what there is.
func listed(what string, names []string) string {
	if len(names) == 0 {
		return "there are no " + what
	}
	const most = 12
	names = slices.Sorted(slices.Values(names))
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return what + ": " + strings.Join(names, ", ") + more
}

// hints joins those that are not empty.
func hints(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

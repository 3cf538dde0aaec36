package requirement

import (
	"slices"
	"strings"
)

// specifier is one clause of PEP 440, such as ">=1.2" or "==1.*".
type specifier struct {
	operator string
	text     string // of the version, as written
	version  version
	wildcard bool // "==1.2.*" and "!=1.2.*"
}

// operators, the longer ones first.
func operators() []string { return []string{"===", "==", "!=", "<=", ">=", "~=", "<", ">"} }

// maxClauses of one requirement: what all of them allow is found by trying.
const maxClauses = 16

// parseSpecifiers reads clauses with commas between them; false where one is not
// in PEP 440's form.
func parseSpecifiers(text string) ([]specifier, bool) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "("); ok {
		inner, closed := strings.CutSuffix(inner, ")")
		if !closed {
			return nil, false
		}
		text = strings.TrimSpace(inner)
	}
	if text == "" {
		return nil, true
	}
	if strings.Count(text, ",") >= maxClauses {
		return nil, false
	}
	var out []specifier
	for clause := range strings.SplitSeq(text, ",") {
		clause = strings.TrimSpace(clause)
		if clause == "" {
			continue // pip takes "foo>=1,"
		}
		s, ok := parseSpecifier(clause)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

func parseSpecifier(clause string) (specifier, bool) {
	for _, operator := range operators() {
		rest, ok := strings.CutPrefix(clause, operator)
		if !ok {
			continue
		}
		s := specifier{operator: operator, text: strings.TrimSpace(rest)}
		if s.text == "" {
			return s, false
		}
		body, wildcard := strings.CutSuffix(s.text, ".*")
		s.wildcard = wildcard
		s.version, ok = parseVersion(body)
		switch {
		case operator == "===":
			return s, true
		case !ok, wildcard && (operator != "==" && operator != "!=" || s.version.dev.is || s.version.local != nil),
			operator == "~=" && len(s.version.release) < 2,
			s.version.local != nil && operator != "==" && operator != "!=":
			return s, false
		}
		return s, true
	}
	return specifier{}, false
}

// allows says whether a version satisfies the clause, as PEP 440's section
// "Version specifiers" has it.
func (s specifier) allows(v version, text string) bool {
	w := s.version
	switch s.operator {
	case "===":
		return strings.EqualFold(s.text, text)
	case "==":
		return s.matches(v)
	case "!=":
		return !s.matches(v)
	case "<=":
		return v.public().compare(w) <= 0
	case ">=":
		return v.public().compare(w) >= 0
	case "~=":
		series := specifier{operator: "==", version: version{epoch: w.epoch, release: w.release[:len(w.release)-1]}, wildcard: true}
		return v.public().compare(w) >= 0 && series.matches(v)
	case "<":
		// A pre-release of the named version does not count as before it.
		return v.compare(w) < 0 && (w.prerelease() || !v.prerelease() || !v.sameRelease(w))
	default: // ">"
		// Nor does a post-release, or a local version, as after it.
		return v.compare(w) > 0 && (w.post.is || !v.post.is || !v.sameRelease(w)) && (v.local == nil || v.public().compare(w) != 0)
	}
}

func (s specifier) matches(v version) bool {
	w := s.version
	if !s.wildcard {
		if w.local == nil {
			v = v.public()
		}
		return v.compare(w) == 0
	}
	if v.epoch != w.epoch {
		return false
	}
	release := slices.Clone(v.release)
	for len(release) < len(w.release) {
		release = append(release, 0)
	}
	if w.pre.is || w.post.is { // "==1.0rc1.*", "==1.0.post1.*": releases as a whole
		return v.sameRelease(w) && (!w.pre.is || v.pre == w.pre) && (!w.post.is || v.post == w.post)
	}
	return slices.Equal(release[:len(w.release)], w.release)
}

// satisfiable says whether any version satisfies all clauses. What they allow
// are ranges that begin and end beside the versions which they name, so that it
// is enough to try those and their neighbours.
func satisfiable(all []specifier) bool {
	if len(all) == 0 {
		return true
	}
	longest := 1
	for _, s := range all {
		longest = max(longest, len(s.version.release))
	}
	allowed := func(v version, text string) bool {
		return !slices.ContainsFunc(all, func(s specifier) bool { return !s.allows(v, text) })
	}
	for _, s := range all {
		if s.operator == "===" {
			// Only this text can be it. One that is no version has no order:
			// any other clause turns it away.
			v, ok := parseVersion(s.text)
			if !ok {
				return !slices.ContainsFunc(all, func(o specifier) bool { return o.operator != "===" || !strings.EqualFold(o.text, s.text) })
			}
			return allowed(v, s.text)
		}
	}
	for _, s := range all {
		for _, v := range neighbours(s.version, longest) {
			if allowed(v, "") {
				return true
			}
		}
	}
	return false
}

// neighbours of a version: itself, what comes just after it, the next release
// of its series, and the first of all. longest is that of the releases named.
func neighbours(v version, longest int) []version {
	plain := version{epoch: v.epoch, release: v.release}
	after := slices.Clone(v.release)
	for len(after) < longest {
		after = append(after, 0)
	}
	next := slices.Clone(v.release)
	next[len(next)-1]++
	first := make([]int64, longest+1)
	first[longest] = 1
	out := []version{
		v, v.public(), plain,
		{epoch: v.epoch, release: append(after, 1)},
		{epoch: v.epoch, release: next},
		{epoch: v.epoch, release: []int64{0}},
		{epoch: v.epoch, release: first},
	}
	for _, change := range []func(*version){
		func(w *version) { w.post = phase{is: true, number: w.post.number + 1}; w.dev = phase{} },
		func(w *version) { w.pre.number++; w.post, w.dev = phase{}, phase{} },
		func(w *version) { w.dev.number++ },
		func(w *version) { w.dev = phase{} },
	} {
		w := v.public()
		change(&w)
		if !w.pre.is {
			w.pre = phase{}
		}
		if !w.dev.is {
			w.dev = phase{}
		}
		out = append(out, w)
	}
	return out
}

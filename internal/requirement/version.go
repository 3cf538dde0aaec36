package requirement

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// version of PEP 440.
type version struct {
	epoch   int64
	release []int64
	pre     phase // "a", "b" or "rc"
	post    phase
	dev     phase
	local   []string // segments, lower case
}

// phase is a part of a version that may be missing.
type phase struct {
	is     bool
	letter string
	number int64
}

// versionForm is the grammar of PEP 440, with the spellings that it normalises
// (its section "Normalization").
func versionForm() *regexp.Regexp {
	return regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
		`(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]*))?` +
		`(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]*))?` +
		`(?:[-_.]?(dev)[-_.]?([0-9]*))?` +
		`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)
}

// maxVersion bounds a version's text: longer ones are no version.
const maxVersion = 200

// parseVersion reads a version; false where the text is none.
func parseVersion(text string) (version, bool) {
	if len(text) > maxVersion {
		return version{}, false
	}
	m := versionForm().FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return version{}, false
	}
	good := true
	number := func(digits string) int64 {
		if digits == "" {
			return 0
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		good = good && err == nil && n < 1<<62 // candidates add 1
		return n
	}
	v := version{epoch: number(m[1])}
	for part := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, number(part))
	}
	if m[3] != "" {
		letter := m[3]
		switch letter {
		case "alpha":
			letter = "a"
		case "beta":
			letter = "b"
		case "c", "pre", "preview":
			letter = "rc"
		}
		v.pre = phase{true, letter, number(m[4])}
	}
	if m[5] != "" || m[6] != "" {
		v.post = phase{is: true, number: number(m[5] + m[7])}
	}
	if m[8] != "" {
		v.dev = phase{is: true, number: number(m[9])}
	}
	if m[10] != "" {
		v.local = strings.FieldsFunc(m[10], func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	}
	return v, good
}

// public is the version without its local part.
func (v version) public() version {
	v.local = nil
	return v
}

func (v version) prerelease() bool { return v.pre.is || v.dev.is }

// sameRelease compares epochs and releases, 1.0 being 1.
func (v version) sameRelease(w version) bool {
	return v.epoch == w.epoch && slices.Equal(trimmed(v.release), trimmed(w.release))
}

func trimmed(release []int64) []int64 {
	for len(release) > 1 && release[len(release)-1] == 0 {
		release = release[:len(release)-1]
	}
	return release
}

// compare orders versions as PEP 440 does (its section "Summary of permitted
// suffixes and relative ordering").
func (v version) compare(w version) int {
	return cmp.Or(
		cmp.Compare(v.epoch, w.epoch),
		slices.Compare(trimmed(v.release), trimmed(w.release)),
		cmp.Compare(v.preRank(), w.preRank()),
		cmp.Compare(v.pre.number, w.pre.number),
		comparePhase(v.post, w.post, -1),
		comparePhase(v.dev, w.dev, 1),
		compareLocal(v.local, w.local),
	)
}

// preRank: 1.0.dev1 < 1.0a1 < 1.0b1 < 1.0rc1 < 1.0 < 1.0.post1.
func (v version) preRank() int {
	switch {
	case v.pre.is:
		return map[string]int{"a": 1, "b": 2, "rc": 3}[v.pre.letter]
	case v.dev.is && !v.post.is:
		return 0
	}
	return 4
}

// comparePhase compares parts of which one may be missing; absent says where
// that stands.
func comparePhase(a, b phase, absent int) int {
	switch {
	case a.is && b.is:
		return cmp.Compare(a.number, b.number)
	case a.is:
		return -absent
	case b.is:
		return absent
	}
	return 0
}

// compareLocal: a version without a local part comes first; numbers after text.
func compareLocal(a, b []string) int {
	return slices.CompareFunc(a, b, func(x, y string) int {
		n, numeric := integer(x)
		m, also := integer(y)
		switch {
		case numeric && also:
			return cmp.Compare(n, m)
		case numeric:
			return 1
		case also:
			return -1
		}
		return strings.Compare(x, y)
	})
}

func integer(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && text[0] != '-' && text[0] != '+'
}

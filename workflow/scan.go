package workflow

// The functions here walk JSON that validJSON has accepted: they check
// nothing themselves, allocate nothing for plain names, and never recurse.

import (
	"bytes"
	"encoding/json"
)

// skipSpace returns the first index from i that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at b[i].
func skipString(b []byte, i int) int {
	start := i
	for {
		i += 1 + bytes.IndexByte(b[i+1:], '"')
		escapes := 0
		for j := i - 1; j > start && b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 { // an odd number escapes the quote
			return i + 1
		}
	}
}

// skipValue returns the index after the value that begins at b[i].
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

// members calls yield with the bounds of each name (quotes included) and value
// of the object that begins at b[i], until yield returns false.
func members(b []byte, i int, yield func(nameFrom, nameTo, from, to int) bool) {
	for i = skipSpace(b, i+1); b[i] != '}'; i = skipSpace(b, i) {
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
		nameTo := skipString(b, i)
		from := skipSpace(b, skipSpace(b, nameTo)+1) // past the colon
		to := skipValue(b, from)
		if !yield(i, nameTo, from, to) {
			return
		}
		i = to
	}
}

// elements calls yield with the bounds of each element of the array that
// begins at b[i], until yield returns false.
func elements(b []byte, i int, yield func(from, to int) bool) {
	for i = skipSpace(b, i+1); b[i] != ']'; i = skipSpace(b, i) {
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
		to := skipValue(b, i)
		if !yield(i, to) {
			return
		}
		i = to
	}
}

// findMember returns the bounds of a member's value. Of equal names the last
// counts, as in most decoders.
func findMember(b []byte, i int, name string) (from, to int, ok bool) {
	members(b, i, func(nameFrom, nameTo, valueFrom, valueTo int) bool {
		if nameEquals(b[nameFrom:nameTo], name) {
			from, to, ok = valueFrom, valueTo, true
		}
		return true
	})
	return from, to, ok
}

// findElement returns the bounds of an element; a negative index counts from
// the end.
func findElement(b []byte, i, index int) (from, to int, ok bool) {
	if index < 0 {
		index += countElements(b, i)
		if index < 0 {
			return 0, 0, false
		}
	}
	n := 0
	elements(b, i, func(f, t int) bool {
		if n == index {
			from, to, ok = f, t, true
		}
		n++
		return !ok
	})
	return from, to, ok
}

func countElements(b []byte, i int) int {
	n := 0
	elements(b, i, func(int, int) bool { n++; return true })
	return n
}

// nameEquals compares a quoted JSON name with a plain one.
func nameEquals(quoted []byte, name string) bool {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		return unquote(quoted) == name
	}
	return string(inner) == name
}

func unquote(quoted []byte) string {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(quoted) // cannot be: the whole was valid
	}
	return s
}

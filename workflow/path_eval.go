package workflow

import (
	"encoding/json"
	"errors"
)

// errNoMatch: a path selects nothing in its data.
var errNoMatch = errors.New("no value is there")

// selectSteps returns what the steps select in data, which must be valid JSON.
// The result shares data's memory, except that with a wildcard or a slice the
// matches are put into a new array, empty where there are none.
func selectSteps(data []byte, steps []step) (json.RawMessage, error) {
	from := skipSpace(data, 0)
	for _, s := range steps {
		if s.kind > stepIndex {
			return append(collect(data, from, steps, []byte{'['}), ']'), nil
		}
	}
	to := skipValue(data, from)
	for _, s := range steps {
		var ok bool
		switch s.kind {
		case stepName:
			if data[from] != '{' {
				return nil, errNoMatch
			}
			from, to, ok = findMember(data, from, s.name)
		case stepIndex:
			if data[from] != '[' {
				return nil, errNoMatch
			}
			from, to, ok = findElement(data, from, s.index)
		}
		if !ok {
			return nil, errNoMatch
		}
	}
	return data[from:to:to], nil
}

// collect appends every match of the steps in the value at data[from], with
// commas between. What does not match is left out, as JSONPath has it.
func collect(data []byte, from int, steps []step, out []byte) []byte {
	if len(steps) == 0 {
		if len(out) > 1 {
			out = append(out, ',')
		}
		return append(out, data[from:skipValue(data, from)]...)
	}
	s, rest := steps[0], steps[1:]
	isObject, isArray := data[from] == '{', data[from] == '['
	switch {
	case s.kind == stepName && isObject:
		if f, _, ok := findMember(data, from, s.name); ok {
			out = collect(data, f, rest, out)
		}
	case s.kind == stepIndex && isArray:
		if f, _, ok := findElement(data, from, s.index); ok {
			out = collect(data, f, rest, out)
		}
	case s.kind == stepWildcard && isObject:
		members(data, from, func(_, _, f, _ int) bool {
			out = collect(data, f, rest, out)
			return true
		})
	case s.kind == stepWildcard && isArray:
		elements(data, from, func(f, _ int) bool {
			out = collect(data, f, rest, out)
			return true
		})
	case s.kind == stepSlice && isArray:
		out = collectSlice(data, from, s, rest, out)
	}
	return out
}

func collectSlice(data []byte, from int, s step, rest []step, out []byte) []byte {
	length := countElements(data, from)
	clamp := func(i int) int {
		if i < 0 {
			i += length
		}
		return min(max(i, 0), length)
	}
	first, end := clamp(s.index), length
	if s.bounded {
		end = clamp(s.end)
	}
	n := 0
	elements(data, from, func(f, _ int) bool {
		if n >= first && n < end {
			out = collect(data, f, rest, out)
		}
		n++
		return n < end
	})
	return out
}

// errCannotPlace: a ResultPath does not fit the state's input.
var errCannotPlace = errors.New("the path does not fit the input")

// place returns a copy of data in which the value at the steps is replaced;
// missing objects on the way are made. Both must be valid JSON.
func place(data []byte, steps []step, value []byte) (json.RawMessage, error) {
	from := skipSpace(data, 0)
	to := skipValue(data, from)
	for i, s := range steps {
		switch s.kind {
		case stepName:
			if data[from] != '{' {
				return nil, errCannotPlace
			}
			f, t, ok := findMember(data, from, s.name)
			if !ok {
				return insertMember(data, from, to, steps[i:], value)
			}
			from, to = f, t
		case stepIndex:
			if data[from] != '[' {
				return nil, errCannotPlace
			}
			f, t, ok := findElement(data, from, s.index)
			if !ok {
				return nil, errCannotPlace
			}
			from, to = f, t
		default:
			return nil, errCannotPlace
		}
	}
	out := make([]byte, 0, len(data)-(to-from)+len(value))
	out = append(out, data[:from]...)
	out = append(out, value...)
	return append(out, data[to:]...), nil
}

// insertMember adds a member to the object at data[from:to]; the steps after
// the first become objects of their own.
func insertMember(data []byte, from, to int, steps []step, value []byte) (json.RawMessage, error) {
	extra := len(value) + 2
	for _, s := range steps {
		if s.kind != stepName {
			return nil, errCannotPlace
		}
		extra += len(s.name) + 6
	}
	out := make([]byte, 0, len(data)+extra)
	out = append(out, data[:to-1]...)
	if data[skipSpace(data, from+1)] != '}' {
		out = append(out, ',')
	}
	for i, s := range steps {
		if i > 0 {
			out = append(out, '{')
		}
		out = appendJSONString(out, s.name)
		out = append(out, ':')
	}
	out = append(out, value...)
	for range steps[1:] {
		out = append(out, '}')
	}
	return append(out, data[to-1:]...), nil
}

package workflow

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON reads strict JSON (RFC 8259). A syntax error ends it; duplicate
// names in an object are faults and the first one counts.
func parseJSON(file string, data []byte, f *faults) *node {
	r := &jsonReader{file: file, data: data, faults: f, line: 1, column: 1}
	if i := invalidUTF8(data); i >= 0 {
		r.off = i
		r.fail("not UTF-8", "save the file as UTF-8")
		return nil
	}
	r.space()
	if r.off == len(data) {
		r.fail("the file is empty", "")
		return nil
	}
	n := r.value(0)
	if n == nil {
		return nil
	}
	r.space()
	if r.off < len(data) {
		r.fail("not JSON: found "+r.found()+" after the end of the value", "")
		return nil
	}
	return n
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

type jsonReader struct {
	file   string
	data   []byte
	off    int
	faults *faults

	// line and column of the byte at mark, which only moves forward.
	mark, line, column int
}

// pos is the place of the byte at off. Columns count characters.
func (r *jsonReader) pos() Position {
	for ; r.mark < r.off && r.mark < len(r.data); r.mark++ {
		switch c := r.data[r.mark]; {
		case c == '\n':
			r.line++
			r.column = 1
		case utf8.RuneStart(c):
			r.column++
		}
	}
	return Position{File: r.file, Line: r.line, Column: r.column}
}

func (r *jsonReader) fail(problem, hint string) {
	if hint == "" && r.off >= len(r.data) && len(r.data) > 0 {
		hint = "is the file complete?"
	}
	r.faults.add(r.pos(), "", problem, hint)
}

func (r *jsonReader) space() {
	for r.off < len(r.data) {
		switch r.data[r.off] {
		case ' ', '\t', '\r', '\n':
			r.off++
		default:
			return
		}
	}
}

func (r *jsonReader) peek() byte {
	if r.off < len(r.data) {
		return r.data[r.off]
	}
	return 0
}

// found describes what stands at off.
func (r *jsonReader) found() string {
	if r.off >= len(r.data) {
		return "the end of the file"
	}
	c, _ := utf8.DecodeRune(r.data[r.off:])
	return fmt.Sprintf("%q", string(c))
}

func (r *jsonReader) value(depth int) *node {
	if depth > maxDepth {
		r.fail(fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		return nil
	}
	n := &node{pos: r.pos()}
	switch c := r.peek(); {
	case c == '{':
		n.kind = objectNode
		if !r.object(n, depth) {
			return nil
		}
	case c == '[':
		n.kind = arrayNode
		if !r.array(n, depth) {
			return nil
		}
	case c == '"':
		text, ok := r.string()
		if !ok {
			return nil
		}
		n.kind, n.text = stringNode, text
	case c == '-' || c >= '0' && c <= '9':
		end := numberEnd(r.data, r.off)
		if end == r.off || end < len(r.data) && isWord(r.data[end]) {
			r.fail("not JSON: not a number as JSON writes it", "no leading zeros, plus sign or bare point")
			return nil
		}
		n.kind, n.text = numberNode, string(r.data[r.off:end])
		r.off = end
	default:
		if !r.literal(n) {
			return nil
		}
	}
	n.written = n.text
	return n
}

func (r *jsonReader) literal(n *node) bool {
	end := r.off
	for end < len(r.data) && isWord(r.data[end]) {
		end++
	}
	switch word := string(r.data[r.off:end]); word {
	case "true", "false":
		n.kind, n.text = boolNode, word
	case "null":
		n.kind = nullNode
	default:
		hint := ""
		switch {
		case r.peek() == '\'':
			hint = "JSON's strings have double quotes"
		case r.peek() == '/' || r.peek() == '#':
			hint = `JSON has no comments: use the field "Comment"`
		case r.peek() == '}' || r.peek() == ']':
			hint = "is there a comma too many?"
		case end > r.off:
			hint = "a string needs double quotes"
		}
		r.fail("not JSON: expected a value, found "+r.found(), hint)
		return false
	}
	r.off = end
	return true
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '+' || c == '-'
}

func (r *jsonReader) object(n *node, depth int) bool {
	r.off++ // {
	r.space()
	if r.peek() == '}' {
		r.off++
		return true
	}
	seen := make(map[string]Position)
	for {
		pos := r.pos()
		if r.peek() != '"' {
			hint := ""
			switch c := r.peek(); {
			case c == '}':
				hint = "remove the comma before it"
			case c == '/' || c == '#':
				hint = `JSON has no comments: use the field "Comment"`
			case isWord(c) || c == '\'':
				hint = "a name needs double quotes"
			}
			r.fail("not JSON: expected a field's name, found "+r.found(), hint)
			return false
		}
		name, ok := r.string()
		if !ok {
			return false
		}
		r.space()
		if r.peek() != ':' {
			r.fail(fmt.Sprintf("not JSON: expected ':' after %q, found %s", name, r.found()), "")
			return false
		}
		r.off++
		r.space()
		value := r.value(depth + 1)
		if value == nil {
			return false
		}
		if first, twice := seen[name]; twice {
			r.faults.add(pos, "", fmt.Sprintf("%q appears twice in one object", name),
				fmt.Sprintf("the first is on line %d", first.Line))
		} else {
			seen[name] = pos
			n.fields = append(n.fields, field{name: name, pos: pos, value: value})
		}
		r.space()
		switch r.peek() {
		case ',':
			r.off++
			r.space()
		case '}':
			r.off++
			return true
		default:
			r.fail(fmt.Sprintf("not JSON: expected ',' or '}' after the value of %q, found %s", name, r.found()), r.missingComma())
			return false
		}
	}
}

// missingComma hints at the usual reason for a value where none may be.
func (r *jsonReader) missingComma() string {
	if c := r.peek(); c == '"' || c == '{' || c == '[' {
		return "is a comma missing before it?"
	}
	return ""
}

func (r *jsonReader) array(n *node, depth int) bool {
	r.off++ // [
	r.space()
	if r.peek() == ']' {
		r.off++
		return true
	}
	for {
		value := r.value(depth + 1)
		if value == nil {
			return false
		}
		n.items = append(n.items, value)
		r.space()
		switch r.peek() {
		case ',':
			r.off++
			r.space()
		case ']':
			r.off++
			return true
		default:
			r.fail("not JSON: expected ',' or ']' in an array, found "+r.found(), r.missingComma())
			return false
		}
	}
}

// string reads a string that begins at off.
func (r *jsonReader) string() (string, bool) {
	r.off++ // "
	start := r.off
	for r.off < len(r.data) {
		switch c := r.data[r.off]; {
		case c == '"':
			s := string(r.data[start:r.off])
			r.off++
			return s, true
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			return r.badControl()
		}
		r.off++
	}
	r.fail("not JSON: the string does not end", "is a double quote missing?")
	return "", false
}

func (r *jsonReader) badControl() (string, bool) {
	if r.data[r.off] == '\n' {
		r.fail("not JSON: the string does not end on its line", `is a double quote missing? A line break in a string is written \n`)
	} else {
		r.fail(fmt.Sprintf("not JSON: control character %#02x in a string", r.data[r.off]), "write it as an escape")
	}
	return "", false
}

// escaped goes on with a string that has escapes; off is at the first.
func (r *jsonReader) escaped(start int) (string, bool) {
	var b strings.Builder
	b.Write(r.data[start:r.off])
	for r.off < len(r.data) {
		c := r.data[r.off]
		switch {
		case c == '"':
			r.off++
			return b.String(), true
		case c < 0x20:
			return r.badControl()
		case c != '\\':
			b.WriteByte(c)
			r.off++
			continue
		}
		if r.off+1 >= len(r.data) {
			break
		}
		switch c := r.data[r.off+1]; c {
		case '"', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			u, ok := r.unicode()
			if !ok {
				r.fail(`not JSON: \u needs four hexadecimal digits that make a character`, "a character beyond U+FFFF is a pair of them")
				return "", false
			}
			b.WriteRune(u)
			continue
		default:
			r.fail("not JSON: no such escape in a string: \\"+string(rune(c)), `a backslash is written \\`)
			return "", false
		}
		r.off += 2
	}
	r.off = len(r.data)
	r.fail("not JSON: the string does not end", "is a double quote missing?")
	return "", false
}

// unicode reads \uXXXX, or a surrogate pair of two, at off.
func (r *jsonReader) unicode() (rune, bool) {
	first, ok := r.hex4(r.off)
	if !ok {
		return 0, false
	}
	if !utf16.IsSurrogate(first) {
		r.off += 6
		return first, true
	}
	second, ok := r.hex4(r.off + 6)
	if !ok {
		return 0, false
	}
	u := utf16.DecodeRune(first, second)
	if u == utf8.RuneError {
		return 0, false
	}
	r.off += 12
	return u, true
}

func (r *jsonReader) hex4(at int) (rune, bool) {
	if at+6 > len(r.data) || r.data[at] != '\\' || r.data[at+1] != 'u' {
		return 0, false
	}
	var u rune
	for _, c := range r.data[at+2 : at+6] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

package workflow

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Bounds on a file that the user wrote, so that a hostile one costs little.
const (
	maxSource = 1 << 20 // bytes
	maxDepth  = 128     // objects and arrays inside one another
	maxNodes  = 1 << 18 // values, after YAML's aliases are resolved
)

// node is one value of a JSON or YAML file with its place in it.
type node struct {
	kind nodeKind
	pos  Position
	// text is a string's value, a number in JSON's notation, or "true"/"false".
	text string
	// written is a YAML scalar as it stands in the file: a version 3.10 is a
	// number to YAML and must not become 3.1. Same as text in JSON.
	written string
	fields  []field
	items   []*node
}

type field struct {
	name  string
	pos   Position
	value *node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// String names a kind for messages, with its article.
func (k nodeKind) String() string {
	switch k {
	case nullNode:
		return "null"
	case boolNode:
		return "a boolean"
	case numberNode:
		return "a number"
	case stringNode:
		return "a string"
	case arrayNode:
		return "an array"
	default:
		return "an object"
	}
}

// get returns an object's field, or nil.
func (n *node) get(name string) *node {
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

// appendJSON writes the value as compact JSON; numbers keep their notation.
func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case nullNode:
		return append(b, "null"...)
	case boolNode, numberNode:
		return append(b, n.text...)
	case stringNode:
		return appendJSONString(b, n.text)
	case arrayNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i := range n.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSONString(b, n.fields[i].name)
			b = append(b, ':')
			b = n.fields[i].value.appendJSON(b)
		}
		return append(b, '}')
	}
}

// parseSource reads a file of either notation: by its extension, else by its
// first character. It returns nil where the file cannot be read as a whole.
func parseSource(file string, data []byte, f *faults) *node {
	if len(data) > maxSource {
		f.add(Position{File: file}, "", fmt.Sprintf("the file is larger than %d KiB", maxSource>>10), "a definition is small: keep data out of it")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		return parseJSON(file, data, f)
	case ".yaml", ".yml":
		return parseYAML(file, data, f)
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return parseJSON(file, data, f)
	}
	return parseYAML(file, data, f)
}

// appendJSONString writes s as a JSON string, escaping only what JSON asks
// for; s must be valid UTF-8.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = append(b, `\u00`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = strconv.AppendInt(b, int64(c), 16)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// isJSONNumber reports whether s is a number in JSON's grammar.
func isJSONNumber(s string) bool {
	return len(s) > 0 && numberEnd([]byte(s), 0) == len(s)
}

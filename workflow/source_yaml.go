package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one YAML document as the JSON that it stands for. Aliases
// are resolved within maxNodes; merge keys and tags beyond JSON's types are
// faults.
func parseYAML(file string, data []byte, f *faults) *node {
	if i := invalidUTF8(data); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		f.add(Position{File: file, Line: line}, "", "not UTF-8", "save the file as UTF-8")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		f.add(Position{File: file, Line: 1, Column: 1}, "", "the file is empty", "")
		return nil
	case err != nil:
		f.add(yamlFault(file, err))
		return nil
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		f.add(yamlFault(file, err))
		return nil
	default:
		f.add(Position{File: file, Line: second.Line, Column: second.Column}, "", "a second YAML document in one file", "keep one document a file")
		return nil
	}
	c := yamlConverter{file: file, faults: f}
	n := c.convert(&doc, 0)
	if c.failed {
		return nil
	}
	return n
}

// yamlFault takes the line out of the library's message, which has no column.
// The library counts lines from 0 and adds 1 for its scanner's errors only; it
// leaves a line of 0 out.
func yamlFault(file string, err error) (Position, string, string, string) {
	pos := Position{File: file}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text)
	if m != nil {
		pos.Line, _ = strconv.Atoi(m[1]) // digits; beyond int's range it stays 0
		text = text[len(m[0]):]
	}
	switch {
	case regexp.MustCompile(`^unknown anchor|^control characters|UTF|past the end of stream`).MatchString(text): // no line
	case regexp.MustCompile(`^did not find expected (<|node|'-'|key|',')|^found (undefined|duplicate|incompatible)`).MatchString(text):
		pos.Line++
	default:
		pos.Line = max(pos.Line, 1)
	}
	hint := ""
	if strings.Contains(text, "cannot start any token") {
		hint = "indent with spaces, not tabs, and quote text that begins with a special character"
	}
	return pos, "", "not YAML: " + text, hint
}

type yamlConverter struct {
	file   string
	faults *faults
	nodes  int
	failed bool
}

func (c *yamlConverter) pos(n *yaml.Node) Position {
	return Position{File: c.file, Line: n.Line, Column: n.Column}
}

// fail ends the conversion: the tree is not worth reading on.
func (c *yamlConverter) fail(n *yaml.Node, problem, hint string) *node {
	if !c.failed {
		c.faults.add(c.pos(n), "", problem, hint)
	}
	c.failed = true
	return &node{pos: c.pos(n)}
}

func (c *yamlConverter) convert(n *yaml.Node, depth int) *node {
	c.nodes++
	switch {
	case c.failed:
		return &node{}
	case depth > maxDepth:
		return c.fail(n, fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
	case c.nodes > maxNodes:
		return c.fail(n, fmt.Sprintf("more than %d values", maxNodes), "do its aliases (*name) multiply?")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return c.convert(n.Content[0], depth)
	case yaml.AliasNode:
		return c.convert(n.Alias, depth+1)
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.SequenceNode:
		if tag := n.ShortTag(); tag != "!!seq" {
			return c.fail(n, fmt.Sprintf("the YAML tag %s is not supported", tag), "remove it")
		}
		out := &node{kind: arrayNode, pos: c.pos(n)}
		for _, item := range n.Content {
			out.items = append(out.items, c.convert(item, depth+1))
		}
		return out
	default:
		return c.scalar(n)
	}
}

func (c *yamlConverter) mapping(n *yaml.Node, depth int) *node {
	if tag := n.ShortTag(); tag != "!!map" {
		return c.fail(n, fmt.Sprintf("the YAML tag %s is not supported", tag), "remove it")
	}
	out := &node{kind: objectNode, pos: c.pos(n)}
	seen := make(map[string]Position)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return c.fail(key, "a name must be plain text", "")
		}
		if key.ShortTag() == "!!merge" {
			return c.fail(key, "YAML's merge key << is not supported", "write the fields out")
		}
		if !utf8.ValidString(key.Value) {
			return c.fail(key, "a name is not UTF-8", "")
		}
		pos := c.pos(n.Content[i])
		converted := c.convert(value, depth+1)
		if first, twice := seen[key.Value]; twice {
			c.faults.add(pos, "", fmt.Sprintf("%q appears twice in one mapping", key.Value),
				fmt.Sprintf("the first is on line %d", first.Line))
			continue
		}
		seen[key.Value] = pos
		out.fields = append(out.fields, field{name: key.Value, pos: pos, value: converted})
	}
	return out
}

func (c *yamlConverter) scalar(n *yaml.Node) *node {
	out := &node{pos: c.pos(n), text: n.Value, written: n.Value}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp": // JSON has no dates: as written
		if !utf8.ValidString(n.Value) {
			return c.fail(n, "the text is not UTF-8", "")
		}
		out.kind = stringNode
	case "!!null":
		out.kind, out.text = nullNode, ""
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return c.fail(n, fmt.Sprintf("not a boolean: %s", n.Value), "write true or false")
		}
		out.kind, out.text = boolNode, strconv.FormatBool(b)
	case "!!int", "!!float":
		text, ok := yamlNumber(n)
		if !ok {
			return c.fail(n, fmt.Sprintf("not a number that JSON can hold: %s", n.Value), "")
		}
		out.kind, out.text = numberNode, text
	default:
		return c.fail(n, fmt.Sprintf("the YAML tag %s is not supported", tag), "remove it")
	}
	return out
}

// yamlNumber writes YAML's number in JSON's notation.
func yamlNumber(n *yaml.Node) (string, bool) {
	if isJSONNumber(n.Value) {
		return n.Value, true
	}
	var i int64
	if n.Decode(&i) == nil {
		return strconv.FormatInt(i, 10), true
	}
	var u uint64
	if n.Decode(&u) == nil {
		return strconv.FormatUint(u, 10), true
	}
	var x float64
	if n.Decode(&x) == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
		return strconv.FormatFloat(x, 'g', -1, 64), true
	}
	return "", false
}

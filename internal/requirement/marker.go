package requirement

import (
	"regexp"
	"strings"
)

// answer of a marker: whether a line applies.
type answer int8

const (
	no answer = iota
	unknown
	yes
)

// marker is an expression of PEP 508's environment markers.
type marker struct {
	operator    string // "and", "or", or a comparison
	left, right *marker
	// Operands of a comparison.
	a, b operand
}

// operand is a variable or a text.
type operand struct {
	variable bool
	text     string
}

// Environment that markers are judged in: CPython on Linux, as wraps run it.
type Environment struct {
	// Python is a version ("3.12", "3.12.1") or a command that names one
	// ("python3.12"); anything else is not known.
	Python string
}

// value of a variable; false where it is not known.
func (e Environment) value(variable string) (string, bool) {
	m := regexp.MustCompile(`^(?:python)?(([0-9]+\.[0-9]+)(\.[0-9]+)?)$`).FindStringSubmatch(e.Python)
	switch variable {
	case "python_version":
		if m != nil {
			return m[2], true
		}
	case "python_full_version", "implementation_version":
		if m != nil && m[3] != "" {
			return m[1], true
		}
	case "os_name", "os.name":
		return "posix", true
	case "sys_platform", "sys.platform":
		return "linux", true
	case "platform_system":
		return "Linux", true
	case "implementation_name":
		return "cpython", true
	case "platform_python_implementation", "platform.python_implementation", "python_implementation":
		return "CPython", true
	case "extra":
		return "", true // no requirements file is an extra
	}
	return "", false
}

// eval answers for an environment; nil always applies.
func (m *marker) eval(e Environment) answer {
	if m == nil {
		return yes
	}
	switch m.operator {
	case "and":
		return min(m.left.eval(e), m.right.eval(e))
	case "or":
		return max(m.left.eval(e), m.right.eval(e))
	}
	a, known := m.a.value(e)
	b, also := m.b.value(e)
	if !known || !also {
		return unknown
	}
	return compareTexts(a, m.operator, b)
}

func (o operand) value(e Environment) (string, bool) {
	if o.variable {
		return e.value(o.text)
	}
	return o.text, true
}

// compareTexts compares as versions where the right side is a specifier, else as
// text (PEP 508).
func compareTexts(a, operator, b string) answer {
	truth := func(t bool) answer {
		if t {
			return yes
		}
		return no
	}
	switch operator {
	case "in":
		return truth(strings.Contains(b, a))
	case "not in":
		return truth(!strings.Contains(b, a))
	}
	if s, ok := parseSpecifier(operator + b); ok {
		if v, ok := parseVersion(a); ok {
			return truth(s.allows(v, a))
		}
	}
	switch operator {
	case "==", "===":
		return truth(a == b)
	case "!=":
		return truth(a != b)
	}
	return unknown // an order of texts that are no versions
}

// maxMarkerDepth bounds parentheses in one another.
const maxMarkerDepth = 50

// parseMarker reads a marker; false where the text is none.
func parseMarker(text string) (*marker, bool) {
	tokens, ok := markerTokens(text)
	if !ok {
		return nil, false
	}
	p := markerParser{tokens: tokens}
	m := p.or(0)
	return m, m != nil && len(p.tokens) == 0
}

func markerTokens(text string) ([]string, bool) {
	form := regexp.MustCompile(`^\s*("[^"]*"|'[^']*'|===|==|!=|<=|>=|~=|<|>|\(|\)|[A-Za-z_][A-Za-z0-9_.]*)`)
	var tokens []string
	for strings.TrimSpace(text) != "" {
		m := form.FindStringSubmatch(text)
		if m == nil {
			return nil, false
		}
		tokens = append(tokens, m[1])
		text = text[len(m[0]):]
	}
	return tokens, true
}

type markerParser struct{ tokens []string }

// take drops the next token if it is this one.
func (p *markerParser) take(token string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != token {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *markerParser) or(depth int) *marker {
	return p.chain("or", depth, func() *marker { return p.chain("and", depth, func() *marker { return p.atom(depth) }) })
}

func (p *markerParser) chain(operator string, _ int, next func() *marker) *marker {
	m := next()
	for m != nil && p.take(operator) {
		right := next()
		if right == nil {
			return nil
		}
		m = &marker{operator: operator, left: m, right: right}
	}
	return m
}

func (p *markerParser) atom(depth int) *marker {
	if depth > maxMarkerDepth {
		return nil
	}
	if p.take("(") {
		m := p.or(depth + 1)
		if !p.take(")") {
			return nil
		}
		return m
	}
	a, ok := p.operand()
	if !ok {
		return nil
	}
	m := &marker{a: a, operator: p.operator()}
	if m.operator == "" {
		return nil
	}
	if m.b, ok = p.operand(); !ok {
		return nil
	}
	return m
}

func (p *markerParser) operator() string {
	if p.take("not") {
		if p.take("in") {
			return "not in"
		}
		return ""
	}
	for _, o := range append(operators(), "in") {
		if p.take(o) {
			return o
		}
	}
	return ""
}

func (p *markerParser) operand() (operand, bool) {
	if len(p.tokens) == 0 {
		return operand{}, false
	}
	t := p.tokens[0]
	switch c := t[0]; {
	case c == '"' || c == '\'':
		p.tokens = p.tokens[1:]
		return operand{text: t[1 : len(t)-1]}, true
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		switch t {
		case "and", "or", "in", "not":
			return operand{}, false
		}
		p.tokens = p.tokens[1:]
		return operand{variable: true, text: t}, true
	}
	return operand{}, false
}

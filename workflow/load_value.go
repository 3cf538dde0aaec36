package workflow

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/dnslabel"
)

// described shows a value in a message: a scalar as written, else its kind.
func (n *node) described() string {
	switch n.kind {
	case stringNode:
		if len(n.text) > 60 {
			return fmt.Sprintf("%.60q…", n.text)
		}
		return strconv.Quote(n.text)
	case numberNode, boolNode:
		return n.written
	}
	return n.kind.String()
}

func (l *loader) text(f field) (string, bool) {
	if f.value.kind != stringNode || f.value.text == "" {
		l.add(f.value.pos, "", "%q must be text, not %s", f.name, f.value.described())
		return "", false
	}
	return f.value.text, true
}

func (l *loader) projectName(f field) string {
	name := f.value.written // 007 is a name too
	if f.value.kind == stringNode || f.value.kind == numberNode {
		if dnslabel.Valid(name) {
			return name
		}
	}
	l.add(f.value.pos, fmt.Sprintf("at most %d lower-case letters, digits and -, with no - at the ends: %s", dnslabel.Max, suggestedName(name)),
		"name must be a DNS label, not %s", f.value.described())
	return ""
}

// suggestedName makes a valid name of any text: of a folder's path, its last
// element.
func suggestedName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, filepath.Base(text))
	name = strings.Trim(name[:min(len(name), dnslabel.Max)], "-")
	if name == "" {
		return "my-workflow"
	}
	return name
}

// slo reads a duration, or {latency: DURATION, percentile: NUMBER}.
func (l *loader) slo(f field) SLO {
	if f.value.kind != objectNode {
		return SLO{Latency: l.duration(f.value, "slo"), Percentile: DefaultPercentile}
	}
	s := SLO{Percentile: DefaultPercentile}
	for _, v := range f.value.fields {
		switch v.name {
		case "latency":
			s.Latency = l.duration(v.value, "latency")
		case "percentile":
			if v.value.kind == stringNode && v.value.text == "mean" {
				s.Percentile = 0
				continue
			}
			x, err := strconv.ParseFloat(v.value.text, 64)
			if v.value.kind != numberNode || err != nil || !(x > 0 && x < 100) {
				l.add(v.value.pos, "write: percentile: 99, or: percentile: mean", "percentile must be a number between 0 and 100, not %s", v.value.described())
				continue
			}
			s.Percentile = x
		default:
			l.unknownField(v, "slo", []string{"latency", "percentile"})
		}
	}
	if f.value.get("latency") == nil {
		l.add(f.value.pos, "write: slo: 120ms, or slo: {latency: 120ms, percentile: 99}", `slo has no "latency"`)
	}
	return s
}

// duration reads a positive duration with its unit; 0 after a fault.
func (l *loader) duration(n *node, what string) time.Duration {
	hint := "write a number and its unit: 120ms, 1.5s, 2m"
	if n.kind == numberNode {
		hint = fmt.Sprintf("its unit is missing: %sms?", n.written)
	}
	d, err := time.ParseDuration(n.text)
	switch {
	case n.kind != stringNode || err != nil:
		l.add(n.pos, hint, "%s must be a duration, not %s", what, n.described())
		return 0
	case d <= 0:
		l.add(n.pos, "", "%s must be more than 0, not %s", what, n.described())
		return 0
	}
	return d
}

// minMemory in bytes: less is surely a missing unit.
const minMemory = 1 << 20

// ParseMemory reads an amount of memory: bytes ("134217728"), or a number with
// a decimal (k, M, G, T; also kB, MB, …) or binary unit (Ki, Mi, Gi, Ti; also
// KiB, MiB, …), as Kubernetes and others write it.
func ParseMemory(text string) (int64, error) {
	m := regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(?:([kKMGT])(i?)B?|B?)$`).FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no amount of memory: write 128Mi or 64MB", text)
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no amount of memory: %w", text, err)
	}
	base := 1000.0
	if m[3] == "i" {
		base = 1024
	}
	if m[2] != "" {
		x *= math.Pow(base, float64(1+strings.Index("KMGT", strings.ToUpper(m[2]))))
	}
	if x != math.Trunc(x) || x >= 1<<62 {
		return 0, fmt.Errorf("%q is no whole number of bytes that fits", text)
	}
	return int64(x), nil
}

func (l *loader) memory(n *node) int64 {
	if n.kind != stringNode && n.kind != numberNode {
		l.add(n.pos, "write: memory: 128Mi", "memory must be an amount, not %s", n.described())
		return 0
	}
	m, err := ParseMemory(n.written)
	switch {
	case err != nil:
		l.add(n.pos, "", "memory: %v", err)
		return 0
	case m < minMemory:
		l.add(n.pos, fmt.Sprintf("is its unit missing: %sMi?", n.written), "memory of %d bytes is too little for any function", m)
		return 0
	}
	return m
}

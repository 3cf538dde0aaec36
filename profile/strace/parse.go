package strace

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// record is one finished system call of the trace.
type record struct {
	tid  int
	name string
	// args as strace prints them, without the parentheses.
	args string
	// result as printed after the "=": "3</tmp/x>", "-1 ENOENT (No such …)".
	result string
	// start counts from the epoch; both have strace's microseconds.
	start time.Duration
	took  time.Duration
}

func (c *record) end() time.Duration { return c.start + c.took }

// failed says whether the call returned an error, or never returned.
func (c *record) failed() bool {
	return strings.HasPrefix(c.result, "-") || strings.HasPrefix(c.result, "?")
}

// returned is the call's result where it is a number that is not negative.
func (c *record) returned() (int, bool) {
	n, rest := leadingInt(c.result)
	return n, rest != c.result
}

// fd is the file descriptor that is the call's first argument.
func (c *record) fd() (int, bool) {
	n, rest := leadingInt(c.args)
	return n, rest != c.args
}

// leadingInt reads decimal digits; without any, rest is all of s.
func leadingInt(s string) (n int, rest string) {
	i := 0
	for i < len(s) && i < 18 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:]
}

// parse reads the output of strace -f -ttt -T -y -o: the finished calls in the
// order in which they ended, and how many lines it could not read. Signals,
// exits, and calls still unfinished at the end are left out.
func parse(output []byte) (calls []record, unread int) {
	open := map[int]record{} // by thread
	for len(output) > 0 {
		line, rest, whole := bytes.Cut(output, []byte("\n"))
		output = rest
		if !whole {
			break // the writer was stopped in the middle of it
		}
		if len(line) == 0 {
			continue
		}
		call, state := parseLine(string(line))
		switch state {
		case finished:
			calls = append(calls, call)
		case unfinished:
			open[call.tid] = call
		case resumed:
			begun, ok := open[call.tid]
			if !ok || begun.name != call.name {
				unread++
				continue
			}
			delete(open, call.tid)
			call.args = begun.args + call.args
			call.start = begun.start
			calls = append(calls, call)
		case noCall:
		case unreadable:
			unread++
		}
	}
	return calls, unread
}

type lineState int

const (
	unreadable lineState = iota
	noCall               // a signal or an exit
	finished
	unfinished
	resumed
)

const (
	unfinishedMark = "<unfinished ...>"
	detachedMark   = "<detached ...>"
)

// parseLine reads one line, of one of the forms
//
//	TID TIME name(args) = result <SECONDS>
//	TID TIME name(args <unfinished ...>
//	TID TIME <... name resumed>args) = result <SECONDS>
//	TID TIME --- SIGNAL ---
//	TID TIME +++ exited with N +++
func parseLine(line string) (record, lineState) {
	var c record
	tid, rest := leadingInt(line)
	if rest == line || !strings.HasPrefix(rest, " ") {
		return c, unreadable
	}
	c.tid = tid
	stamp, rest, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if !ok {
		return c, unreadable
	}
	if c.start, ok = parseSeconds(stamp); !ok {
		return c, unreadable
	}
	if strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "+++") {
		return c, noCall
	}
	state := finished
	if after, is := strings.CutPrefix(rest, "<... "); is {
		state = resumed
		if c.name, rest, ok = strings.Cut(after, " resumed>"); !ok {
			return c, unreadable
		}
	} else if c.name, rest, ok = strings.Cut(rest, "("); !ok {
		return c, unreadable
	}
	if !isName(c.name) {
		return c, unreadable
	}
	for _, mark := range []string{unfinishedMark, detachedMark} {
		if begun, is := strings.CutSuffix(rest, mark); is && state == finished {
			c.args = strings.TrimRight(begun, " ")
			return c, unfinished
		}
	}
	end := argsEnd(rest)
	if end < 0 {
		return c, unreadable
	}
	c.args = rest[:end]
	result, ok := strings.CutPrefix(strings.TrimLeft(rest[end+1:], " "), "= ")
	if !ok {
		return c, unreadable
	}
	c.result = result
	// A call that never returns (exit_group, or the process died) has no time.
	if at := strings.LastIndex(result, " <"); at >= 0 && strings.HasSuffix(result, ">") {
		if c.took, ok = parseSeconds(result[at+2 : len(result)-1]); ok {
			c.result = result[:at]
			return c, state
		}
	}
	if strings.HasPrefix(result, "?") {
		return c, noCall
	}
	return c, unreadable
}

// argsEnd finds the parenthesis that closes the arguments: not one inside a
// quoted string, nor inside a descriptor's decoded path (3</a b>), in which
// strace escapes angle brackets. It is -1 where there is none.
func argsEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '<':
			switch {
			case i+1 < len(s) && s[i+1] == '<': // a shift: 1<<CAP_CHOWN
				i++
			case i > 0 && isWord(s[i-1]): // a decoded descriptor
				for i++; i < len(s) && s[i] != '>'; i++ {
				}
			}
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '_'
}

func isName(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return s != ""
}

// parseSeconds reads "12.000345": whole seconds, a point, up to nine digits.
// Integers, for at today's size a float64 of seconds holds no microsecond.
func parseSeconds(s string) (time.Duration, bool) {
	whole, fraction, ok := strings.Cut(s, ".")
	if !ok || len(whole) > 10 || len(fraction) > 9 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(whole, 10, 33)
	if err != nil {
		return 0, false
	}
	nanos, err := strconv.ParseUint(fraction+"000000000"[len(fraction):], 10, 32)
	if err != nil {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos), true
}

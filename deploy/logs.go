package deploy

import (
	"encoding/json"
	"time"
)

// LogOptions choose log lines.
type LogOptions struct {
	// Wraps whose lines are wanted; empty: all.
	Wraps []string
	// Function whose lines are wanted; empty: all, the agents' own included.
	Function string
	// Since drops earlier lines; zero: none.
	Since time.Time
	// Tail keeps only that many of the last lines there are, before following;
	// 0: all. Negative: none.
	Tail int
	// Follow waits for new lines.
	Follow bool
}

// LogLine is one line that a wrap logged.
type LogLine struct {
	Time time.Time `json:"time"`
	Wrap string    `json:"wrap"`
	// Level as log/slog names it: "INFO".
	Level string `json:"level,omitempty"`
	// Function, RequestID and Stream of what a function printed; empty for what
	// the agent itself has to say.
	Function  string `json:"function,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Stream    string `json:"stream,omitempty"`
	Text      string `json:"msg"`
	// Attrs are the line's other fields, a JSON object; nil: none.
	Attrs json.RawMessage `json:"attrs,omitempty"`
}

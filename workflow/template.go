package workflow

import "encoding/json"

// Template is a payload template: the value of Parameters, in which a key that
// ends in ".$" takes its value from a path.
type Template struct {
	// Raw is the template as written, valid JSON.
	Raw json.RawMessage
}

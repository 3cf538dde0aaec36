package pipeline

import (
	"encoding/json"
	"time"
)

// Millis is a duration whose JSON form is milliseconds, as a number: its key
// ends in _ms.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(m) / float64(time.Millisecond))
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(data []byte) error {
	var v float64
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*m = Millis(v * float64(time.Millisecond))
	return nil
}

package main

import (
	"fmt"
	"math"
	"time"
)

// ms writes a duration in milliseconds with three figures: "0.12", "1.23",
// "12.3", "123". The unit is the column's.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	switch a := math.Abs(v); {
	case a < 9.995:
		return fmt.Sprintf("%.2f", v)
	case a < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// bytesText writes an amount of memory: "7.4 MB".
func bytesText(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if math.Abs(v) < 999.5 || unit == "GB" {
			if unit == "B" || math.Abs(v) >= 99.95 {
				return fmt.Sprintf("%.0f %s", v, unit)
			}
			return fmt.Sprintf("%.1f %s", v, unit)
		}
		v /= 1000
	}
	return ""
}

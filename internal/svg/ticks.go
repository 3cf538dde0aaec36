package svg

import "math"

// Scale places values between two ends on the pixels between two others.
type Scale struct {
	From, To           float64 // values
	FromPixel, ToPixel float64
}

// At is the pixel of a value.
func (s Scale) At(value float64) float64 {
	if s.To == s.From {
		return s.FromPixel
	}
	return s.FromPixel + (value-s.From)/(s.To-s.From)*(s.ToPixel-s.FromPixel)
}

// Ticks are round values from low to high, apart by 1, 2 or 5 times a power of
// ten, such that there are about n of them.
func Ticks(low, high float64, n int) []float64 {
	if !(high > low) || n < 1 || math.IsInf(high-low, 0) {
		return []float64{low}
	}
	rough := (high - low) / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, by := range []float64{1, 2, 5} {
		if by*power >= rough*0.999 {
			step = by * power
			break
		}
	}
	var ticks []float64
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		ticks = append(ticks, i*step+0) // no -0
	}
	return ticks
}

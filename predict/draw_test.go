package predict

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// TestExponentialIsTheSameEverywhere: the table is made with math.Log, which
// may differ in its last bit from machine to machine; rounded it may not.
func TestExponentialIsTheSameEverywhere(t *testing.T) {
	h := fnv.New64a()
	for i, e := range exponential() {
		h.Write([]byte{byte(e), byte(e >> 8), byte(e >> 16), byte(e >> 24)})
		exact := -micro * math.Log(1-float64(i)/100)
		if i < 100 {
			if _, fraction := math.Modf(exact); math.Abs(fraction-0.5) < 1e-6 {
				t.Errorf("knot %d, %v, rounds by its last bits", i, exact)
			}
		}
	}
	if got, want := h.Sum64(), uint64(0x5c740930b9415923); got != want {
		t.Errorf("the table's checksum is %#x, want %#x", got, want)
	}
}

// TestDeal: a run's deviation is dealt wholly, and no period is less than nothing.
func TestDeal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var periods []period
		for range 1 + r.IntN(6) {
			p := period{class: profile.CPU, work: r.Int64N(1000)}
			if r.IntN(3) > 0 {
				p.variance = r.Float64() * 1e5
			}
			periods = append(periods, p)
		}
		sum := sumOf(periods)
		off := r.Int64N(4*sum+1) - sum
		works := deal(periods, off)
		var got int64
		for _, w := range works {
			got += w
		}
		if got != sum+off && sum > 0 || slices.Min(works) < 0 {
			t.Fatalf("%v and %d: %v", periods, off, works)
		}
	}
	even := []period{{work: 100, variance: 9}, {work: 10, variance: 1}, {work: 50}}
	if got, want := deal(even, 20), []int64{118, 12, 50}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v: by variance", got, want)
	}
	if got, want := deal(even, -120), []int64{0, 0, 40}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v: what varies first, then the rest", got, want)
	}
}

func TestTame(t *testing.T) {
	knots := make([]int64, wallKnots)
	for i := range knots {
		knots[i] = 1000
	}
	knots[wallKnots-1] = 100_000 // one of very many
	tame(knots, 1010)
	// 99 cells of 1000, the last of 2000 in the mean: from 1000 to 3000.
	if got := knots[wallKnots-1]; got != 3000 || meanOfKnots(knots) != 1010 {
		t.Errorf("the last knot is %d, the mean %d", got, meanOfKnots(knots))
	}
	few := []int64{10, 20, 90}
	if tame(few, 25); few[2] != 90 {
		t.Errorf("of three runs the longest became %d", few[2])
	}
}

// TestDrawsAreStratified: each column has one rank in each part of the range.
func TestDrawsAreStratified(t *testing.T) {
	var d draws
	d.make(500, make([]uint32, 3), 9)
	for c := range 3 {
		seen := make([]bool, 500)
		for i := range 500 {
			seen[uint64(d.of(i)[c])*500>>32] = true
		}
		if slices.Contains(seen, false) {
			t.Errorf("column %d leaves a part out", c)
		}
	}
	first := slices.Clone(d.ranks)
	d.make(500, make([]uint32, 3), 10)
	if slices.Equal(first, d.ranks) {
		t.Error("another seed draws the same")
	}
	if d.make(500, make([]uint32, 3), 9); !slices.Equal(first, d.ranks) {
		t.Error("the same seed draws other ranks")
	}
}

// TestDrawsTogether: two columns that share p of the moment's ranks correlate by
// p², and keep their own distribution.
func TestDrawsTogether(t *testing.T) {
	const n = 4000
	for _, part := range []float64{0, 0.5, 0.9, 1} {
		var d draws
		d.make(n, []uint32{0, partOf32(part), partOf32(part)}, 5)
		sum, mean := 0.0, 0.0
		for i := range n {
			a, b := float64(d.of(i)[1])/(1<<32)-0.5, float64(d.of(i)[2])/(1<<32)-0.5
			sum += a * b * 12 / n // the variance of a rank is 1/12
			mean += a / n
		}
		if math.Abs(sum-part*part) > 0.06 || math.Abs(mean) > 4/math.Sqrt(12*n) {
			t.Errorf("part %v: correlation %v, mean rank %v", part, sum, mean)
		}
	}
}

// TestShares: what computes shares the moment, what waits does not.
func TestShares(t *testing.T) {
	c := Paper()
	c.Together = 0.64
	measured := predicttest.Behave(t, "a: cpu 10 native 5, b: block 10, c: cpu 5 block 5")
	measured.Functions[2].Periods[0].StdDev, measured.Functions[2].Periods[1].StdDev = 1000, 2000
	p, err := New(predicttest.Define(t, predicttest.Seq{"a", "b", "c"}), measured, &c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []uint32{0, partOf32(0.8), partOf32(0.8), 0, partOf32(0.8 * (1e6 / 5e6))}
	if got := p.sharesOf(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

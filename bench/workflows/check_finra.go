package workflows

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/examples"
)

// trade is one of FINRA's sample input.
type trade struct {
	ID       int     `json:"id"`
	Symbol   string  `json:"symbol"`
	Side     string  `json:"side"`
	Quantity float64 `json:"quantity"`
	Price    float64 `json:"price"`
	Date     string  `json:"date"`
}

// balance is FINRA's answer.
type balance struct {
	Valid       bool             `json:"valid"`
	Violations  map[string][]int `json:"violations"`
	Validations map[string]int   `json:"validations"`
	Equity      float64          `json:"equity"`
	Required    float64          `json:"margin_required"`
	Balance     float64          `json:"margin_balance"`
}

// series are a symbol's days, oldest first.
type series struct{ closes, volumes []float64 }

func newFINRACheck(n int) (func([]byte) error, error) {
	var in struct {
		Cash   float64 `json:"cash"`
		Trades []trade `json:"trades"`
	}
	if err := sample(finra, &in); err != nil {
		return nil, err
	}
	market, err := readMarket()
	if err != nil {
		return nil, err
	}
	want := expectedBalance(in.Cash, in.Trades, market)
	for _, rule := range rules() {
		want.Validations[rule[0]] = n / len(rules())
	}
	return func(answer []byte) error {
		var got balance
		if err := json.Unmarshal(answer, &got); err != nil {
			return fmt.Errorf("it is no JSON as expected: %w", err)
		}
		wrong := []error{same("valid", got.Valid, want.Valid)}
		if !maps.Equal(got.Validations, want.Validations) {
			wrong = append(wrong, fmt.Errorf("the validations are %v, want %v", got.Validations, want.Validations))
		}
		if !maps.EqualFunc(got.Violations, want.Violations, slices.Equal) {
			wrong = append(wrong, fmt.Errorf("the violations are %v, want %v", got.Violations, want.Violations))
		}
		for what, pair := range map[string][2]float64{
			"the equity":          {got.Equity, want.Equity},
			"the required margin": {got.Required, want.Required},
			"the margin balance":  {got.Balance, want.Balance},
		} {
			// Sums are rounded to cents, in another order than here.
			if math.Abs(pair[0]-pair[1]) > 0.02 {
				wrong = append(wrong, fmt.Errorf("%s is %.2f, want %.2f", what, pair[0], pair[1]))
			}
		}
		return errors.Join(wrong...)
	}, nil
}

func readMarket() (map[string]*series, error) {
	file, err := examples.FINRA5().Open("functions/volume/market.csv")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	market := make(map[string]*series)
	for _, row := range rows[1:] { // date, symbol, close, volume
		s := market[row[1]]
		if s == nil {
			s = &series{}
			market[row[1]] = s
		}
		price, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			return nil, err
		}
		volume, err := strconv.ParseFloat(row[3], 64)
		if err != nil {
			return nil, err
		}
		s.closes, s.volumes = append(s.closes, price), append(s.volumes, volume)
	}
	return market, nil
}

// expectedBalance validates the trades, and draws the balance, as the rules say.
func expectedBalance(cash float64, trades []trade, market map[string]*series) *balance {
	want := &balance{Violations: make(map[string][]int), Validations: make(map[string]int)}
	violate := func(rule string, t *trade, is bool) {
		if is {
			want.Violations[rule] = append(want.Violations[rule], t.ID)
		}
	}
	held := make(map[string]float64)
	for i := range trades {
		t := &trades[i]
		s := market[t.Symbol]
		violate("marketdata", t, s == nil)
		violate("lastprice", t, s == nil || !s.near(t.Price))
		violate("volume", t, s == nil || t.Quantity > s.most())
		violate("tradedate", t, !open(t.Date))
		sign := map[string]float64{"BUY": 1, "SELL": -1, "SHORT": -1, "SHORT_EXEMPT": -1}[t.Side]
		violate("side", t, sign == 0)
		held[t.Symbol] += sign * t.Quantity
	}
	long, short := 0.0, 0.0
	for symbol, quantity := range held {
		if s := market[symbol]; s != nil {
			value := quantity * s.closes[len(s.closes)-1]
			long, short = long+max(value, 0), short+max(-value, 0)
		}
	}
	want.Valid = len(want.Violations) == 0
	want.Equity = cash + long - short
	want.Required = long/4 + short*3/10
	want.Balance = want.Equity - want.Required
	return want
}

// near reports whether a price lies within five deviations of the mean of any 20
// closes in a row of the last quarter.
func (s *series) near(price float64) bool {
	low, high := math.Inf(1), 0.0
	for end := len(s.closes) - 60; end <= len(s.closes); end++ {
		window := s.closes[end-20 : end]
		mean, squares := 0.0, 0.0
		for _, p := range window {
			mean += p / 20
		}
		for _, p := range window {
			squares += (p - mean) * (p - mean)
		}
		deviation := math.Sqrt(squares / 19)
		low, high = min(low, mean-5*deviation), max(high, mean+5*deviation)
	}
	return low <= price && price <= high
}

// most is a tenth of the median volume of the last 63 days.
func (s *series) most() float64 {
	last := slices.Sorted(slices.Values(s.volumes[len(s.volumes)-63:]))
	return last[31] / 10
}

// open reports whether the market was open on a day of the sample's, which are the
// end of 2025's: https://www.nyse.com/markets/hours-calendars, and the one that
// was planted there.
func open(date string) bool {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil || day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		return false
	}
	return !slices.Contains([]string{"2025-07-04", "2025-09-01", "2025-11-27", "2025-12-25"}, date)
}

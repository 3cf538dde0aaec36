package workflow

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestValidJSON compares with json.Valid on values, and on values with one
// byte changed, cut or doubled.
func TestValidJSON(t *testing.T) {
	check := func(data []byte) {
		t.Helper()
		if got, want := validJSON(data), json.Valid(data); got != want {
			t.Fatalf("%.200q (%d bytes): got %v, want %v", data, len(data), got, want)
		}
	}
	for _, text := range []string{
		"", " ", "1", " 1 ", "-", "-0", "01", "1.", ".1", "1e", "1e+", "1e5", "1E-5", "1 2", "nul", "null", "nulll", "true", "falsey",
		`"`, `""`, `"\`, `"\"`, `"\u00`, `"\u00e`, `"\u00e9"`, `"\u00g9"`, `"\x"`, "\"\n\"", "\"\x7f\xff\"", "[", "]", "[]", "[,]", "[1,]", "[1", "[1}", "{]", "{}", "{",
		`{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{1:1}`, `{"a":[}`, `[{"a":[{}]}]`, "\uFEFF1", "[[],{},[[]]]", `{"a":{},"b":[]}`, `{,}`, `[}`,
	} {
		check([]byte(text))
	}
	for _, n := range []int{63, 64, 65, 9999, 10000, 10001, 20000} {
		check([]byte(strings.Repeat("[", n) + strings.Repeat("]", n)))
		check([]byte(strings.Repeat("[", n) + strings.Repeat("]", n-1)))
		check([]byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)))
		check([]byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)))
		check([]byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("]}", n/2)))
	}
	r := rand.New(rand.NewPCG(3, 4))
	broken := 0
	for range 20000 {
		data, err := json.Marshal(randomValue(r, 5))
		if err != nil {
			t.Fatal(err)
		}
		check(data)
		i := r.IntN(len(data))
		switch r.IntN(3) {
		case 0:
			data[i] = `{}[]",:\0-.etu `[r.IntN(15)]
		case 1:
			data = append(data[:i], data[i+1:]...)
		case 2:
			data = append(data[:i+1], data[i:]...)
		}
		check(data)
		if !json.Valid(data) {
			broken++
		}
	}
	if broken < 5000 {
		t.Errorf("only %d broken: the test has lost its teeth", broken)
	}
}

func FuzzValidJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1.5e-3,"\u00e9",{}],"b":null}`))
	f.Add([]byte(`[[[],`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := validJSON(data), json.Valid(data); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func benchmarkData(b *testing.B) []byte {
	r := rand.New(rand.NewPCG(5, 6))
	rows := make([]map[string]any, 500)
	for i := range rows {
		rows[i] = map[string]any{"symbol": "ABCDEF", "price": r.Float64() * 100, "volume": r.IntN(100000), "side": "buy", "tags": []string{"x", "y"}}
	}
	data, err := json.Marshal(rows)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkValid(b *testing.B) {
	data := benchmarkData(b)
	for _, check := range []struct {
		name  string
		valid func([]byte) bool
	}{{"ours", validJSON}, {"encoding-json", json.Valid}} {
		b.Run(check.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if !check.valid(data) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

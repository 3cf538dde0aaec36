package workflows

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"reflect"
	"strings"
)

// slappInput is slapp's sample input, and what slapp-v's states are given.
type slappInput struct {
	Factorial  int64 `json:"factorial"`
	Fibonacci  int64 `json:"fibonacci"`
	Digits     int   `json:"digits"`
	Iterations int   `json:"iterations"`
	Disk       int   `json:"disk_bytes"`
	Network    int   `json:"network_bytes"`
}

// rounds of slapp's network function.
const rounds = 4

// answerOf is what a function of SLApp answers to an input.
func answerOf(function string, in *slappInput) (map[string]any, error) {
	repeated := func(n int) []byte {
		block := make([]byte, 256)
		for i := range block {
			block[i] = byte(i)
		}
		return bytes.Repeat(block, n/256+1)[:n]
	}
	switch function {
	case "factorial":
		return map[string]any{"bits": new(big.Int).MulRange(1, in.Factorial).BitLen()}, nil
	case "fibonacci":
		a, b := big.NewInt(0), big.NewInt(1)
		for range in.Fibonacci {
			a.Add(a, b)
			a, b = b, a
		}
		return map[string]any{"fibonacci": a.Int64()}, nil
	case "diskio":
		return map[string]any{"bytes": in.Disk, "crc32": crc32.ChecksumIEEE(repeated(in.Disk))}, nil
	case "networkio":
		sum := sha256.Sum256(bytes.Repeat(repeated(in.Network/256*256), rounds))
		return map[string]any{"bytes": rounds * (in.Network / 256 * 256), "sha256": hex.EncodeToString(sum[:])}, nil
	case "pi":
		d := digitsOfPi(in.Digits)
		return map[string]any{"last": d[max(0, len(d)-10):]}, nil
	case "pbkdf2":
		key, err := pbkdf2.Key(sha256.New, "correct horse battery staple", []byte("slapp"), in.Iterations, sha256.Size)
		return map[string]any{"key": hex.EncodeToString(key)}, err
	}
	return nil, fmt.Errorf("SLApp has no function %q", function)
}

// digitsOfPi are pi's first ones, the 3 among them, by Machin's formula:
// pi = 16 arctan(1/5) - 4 arctan(1/239).
func digitsOfPi(count int) string {
	const guard = 10 // digits that the sums' roundings may spoil
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(count+guard)), nil)
	arctan := func(x int64) *big.Int {
		term, sum, square := new(big.Int).Quo(unit, big.NewInt(x)), new(big.Int), big.NewInt(x*x)
		for n := int64(1); term.Sign() != 0; n += 2 {
			part := new(big.Int).Quo(term, big.NewInt(n))
			if n%4 == 3 {
				part.Neg(part)
			}
			sum.Add(sum, part)
			term.Quo(term, square)
		}
		return sum
	}
	pi := new(big.Int).Mul(big.NewInt(16), arctan(5))
	pi.Sub(pi, new(big.Int).Mul(big.NewInt(4), arctan(239)))
	return pi.String()[:count]
}

// asDecoded is a value as it comes out of JSON.
func asDecoded(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(data, &out)
}

// differs compares one function's answer.
func differs(where string, got any, function string, in *slappInput) error {
	answer, err := answerOf(function, in)
	if err != nil {
		return err
	}
	want, err := asDecoded(answer)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: %s answers %v, want %v", where, function, got, want)
	}
	return nil
}

func newSLAppCheck() (func([]byte) error, error) {
	var in slappInput
	if err := sample(slapp, &in); err != nil {
		return nil, err
	}
	stages := map[string][]string{
		"first":  strings.Fields("networkio factorial diskio fibonacci"),
		"second": strings.Fields("networkio pi pbkdf2"),
	}
	want := make(map[string][]call)
	for stage, functions := range stages {
		for _, f := range functions {
			want[stage] = append(want[stage], call{f, in})
		}
	}
	return checkStages(want), nil
}

// call is a function and what it is given.
type call struct {
	function string
	in       slappInput
}

func newSLAppVCheck() (func([]byte) error, error) {
	return checkStages(map[string][]call{
		"first": {{"factorial", slappInput{Factorial: 3000}}},
		"second": {
			{"networkio", slappInput{Network: 65536}},
			{"factorial", slappInput{Factorial: 4500}},
			{"diskio", slappInput{Disk: 1048576}},
			{"fibonacci", slappInput{Fibonacci: 22}},
			{"pbkdf2", slappInput{Iterations: 15000}},
		},
		"third":  {{"fibonacci", slappInput{Fibonacci: 19}}},
		"fourth": {{"pi", slappInput{Digits: 350}}, {"networkio", slappInput{Network: 65536}}},
		"fifth":  {{"diskio", slappInput{Disk: 524288}}},
	}), nil
}

// checkStages holds each stage's answers against what they should be; a stage of
// one function is no list.
func checkStages(want map[string][]call) func([]byte) error {
	return func(answer []byte) error {
		var got map[string]any
		if err := json.Unmarshal(answer, &got); err != nil {
			return fmt.Errorf("it is no JSON as expected: %w", err)
		}
		var wrong []error
		for stage, calls := range want {
			answers, ok := got[stage].([]any)
			if !ok {
				answers = []any{got[stage]}
			}
			if len(answers) != len(calls) {
				wrong = append(wrong, fmt.Errorf("%s: %d answers, want %d", stage, len(answers), len(calls)))
				continue
			}
			for i, c := range calls {
				wrong = append(wrong, differs(stage, answers[i], c.function, &c.in))
			}
		}
		return errors.Join(wrong...)
	}
}

package local

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string][]int{
		"0-3,8,10-11": {0, 1, 2, 3, 8, 10, 11}, "5": {5}, "": nil, "x,2-y,3": {3}, "0-99999999": nil,
	} {
		if got := parseCPUList(text); !cmp.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

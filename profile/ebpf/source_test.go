package ebpf

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// The object that is committed must be made of the source beside it.
func TestObjectIsOfThisSource(t *testing.T) {
	sums, err := os.ReadFile("probes.sum")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 3 {
		t.Fatalf("probes.sum has %d lines, want 3", len(lines))
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
			t.Errorf("%s has changed since the object was made: make generate", name)
		}
	}
}

// What Go believes of the records is what the object says of them.
func TestRecordSizes(t *testing.T) {
	spec, err := loadProbes()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{probesVarUnusedEvent: 8, probesVarUnusedNamed: 8, probesVarLost: 24} {
		if got := spec.Variables[name].Size(); got != want {
			t.Errorf("%s has %d bytes, want %d", name, got, want)
		}
	}
	for name, want := range map[string]int{"event": eventSize, "named": namedSize} {
		types, err := spec.Types.AnyTypesByName(name)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, typ := range types {
			size, err := btf.Sizeof(typ)
			found = found || err == nil && size == want
		}
		if !found {
			t.Errorf("no struct %s of %d bytes is in the object", name, want)
		}
	}
}

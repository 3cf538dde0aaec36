package prices

import (
	"embed"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/chiron-faas/chiron/internal/strictjson"
)

// APIVersion of a prices file.
const APIVersion = "chiron/v1"

// Default is the name of the built-in table that is used where none is named.
const Default = "google"

// maxFile bounds a prices file, bytes.
const maxFile = 1 << 16

//go:embed *.json
var builtin embed.FS

// Table of prices, USD. A price of 0 means that the thing is free.
type Table struct {
	APIVersion string `json:"apiVersion"`
	// Name for reports; Source and AsOf say where the prices come from and when
	// they held.
	Name   string `json:"name"`
	Source string `json:"source,omitempty"`
	AsOf   string `json:"as_of,omitempty"`
	// GBSecond is for 10⁹ bytes of memory held for a second.
	GBSecond float64 `json:"usd_per_gb_second"`
	// GHzSecond is for a CPU of 1 GHz held for a second, GHzPerCPU what a CPU
	// counts as: 1 where a provider prices CPUs by the piece.
	GHzSecond float64 `json:"usd_per_ghz_second"`
	GHzPerCPU float64 `json:"ghz_per_cpu"`
	// Transition is for one state transition of an orchestration service.
	Transition float64 `json:"usd_per_transition"`
}

// Names of the built-in tables, sorted.
func Names() []string {
	files, err := builtin.ReadDir(".")
	if err != nil {
		return nil // an embedded folder can be read
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".json"))
	}
	return names
}

// Load returns the built-in table of that name, or reads a file: whatever has a
// slash or a dot in it, or is no name. An empty name means Default.
func Load(nameOrFile string) (*Table, error) {
	if nameOrFile == "" {
		nameOrFile = Default
	}
	if !strings.ContainsAny(nameOrFile, "/.") {
		if data, err := builtin.ReadFile(path.Clean(nameOrFile) + ".json"); err == nil {
			return decode(nameOrFile, data)
		}
	}
	data, err := strictjson.ReadFile(nameOrFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("prices: %w; name a file, or one of %s", err, strings.Join(Names(), ", "))
	}
	return decode(nameOrFile, data)
}

func decode(name string, data []byte) (*Table, error) {
	t := &Table{}
	if err := strictjson.Decode(data, "a table of prices", APIVersion, t); err != nil {
		return nil, fmt.Errorf("prices %s: %w", name, err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("prices %s: %w", name, err)
	}
	return t, nil
}

func (t *Table) check() error {
	if t.Name == "" {
		return errors.New("it has no name: write \"name\": \"my-provider\"")
	}
	for _, p := range []struct {
		key   string
		price float64
	}{
		{"usd_per_gb_second", t.GBSecond}, {"usd_per_ghz_second", t.GHzSecond}, {"ghz_per_cpu", t.GHzPerCPU}, {"usd_per_transition", t.Transition},
	} {
		if p.price < 0 || math.IsInf(p.price, 0) || p.price > 1e6 {
			return fmt.Errorf("%s is %v: it must be from 0 to a million", p.key, p.price)
		}
	}
	switch {
	case t.GBSecond == 0 && t.GHzSecond == 0:
		return errors.New("neither usd_per_gb_second nor usd_per_ghz_second is given: every plan would be free")
	case t.GHzSecond > 0 && t.GHzPerCPU == 0:
		return errors.New("ghz_per_cpu is missing: write 1 where CPUs are priced by the piece")
	}
	return nil
}

package prices

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	names := Names()
	if strings.Join(names, " ") != "aws google" {
		t.Fatalf("tables %q", names)
	}
	for _, name := range append(names, "") {
		table, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"": Default}[name]; table.Name != name && table.Name != want {
			t.Errorf("table %q calls itself %q", name, table.Name)
		}
		if !strings.Contains(table.Source, "https://") || len(table.AsOf) < 4 {
			t.Errorf("table %q does not say where it is from and of when: %+v", name, table)
		}
		// A CPU of a whole hour costs cents, and more than a GB.
		if hour := 3600 * table.GHzSecond * table.GHzPerCPU; hour < 0.01 || hour > 1 || hour < 3600*table.GBSecond {
			t.Errorf("table %q: a CPU costs %v USD an hour", name, hour)
		}
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	good := `{"apiVersion": "chiron/v1", "name": "mine", "usd_per_gb_second": 0.001}`
	for name, test := range map[string]struct{ text, want string }{
		"good":          {good, ""},
		"no name":       {`{"apiVersion": "chiron/v1", "usd_per_gb_second": 1}`, "it has no name"},
		"no price":      {`{"apiVersion": "chiron/v1", "name": "x"}`, "every plan would be free"},
		"negative":      {`{"apiVersion": "chiron/v1", "name": "x", "usd_per_gb_second": -1}`, "usd_per_gb_second is -1"},
		"no clock":      {`{"apiVersion": "chiron/v1", "name": "x", "usd_per_ghz_second": 1}`, "ghz_per_cpu is missing"},
		"unknown key":   {`{"apiVersion": "chiron/v1", "name": "x", "usd_per_gb": 1}`, `"usd_per_gb"`},
		"other version": {`{"apiVersion": "chiron/v2"}`, "chiron/v2"},
		"not JSON":      {`prices: many`, "prices "},
	} {
		file := filepath.Join(dir, "prices.json")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := Load(file)
		switch {
		case test.want == "":
			if err != nil || table.Name != "mine" || table.GBSecond != 0.001 {
				t.Errorf("%s: %+v, %v", name, table, err)
			}
		case err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: got %v, want one line with %q and the file", name, err, test.want)
		}
	}
	for _, name := range []string{"azure", filepath.Join(dir, "none.json"), "../aws"} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "name a file, or one of aws, google") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

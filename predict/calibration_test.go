package predict

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/profile"
)

func TestCalibrationFile(t *testing.T) {
	want := Paper()
	want.Machine = profile.Machine{CPUModel: "a CPU", CPUs: 2, Kernel: "6.18", OS: "linux", Arch: "amd64"}
	want.Created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want.Version = "3.11.7"
	want.Request = 123457 * time.Nanosecond
	want.Row = 31 * time.Microsecond
	want.Spread, want.Together = []float64{0.75, 1, 1.0625, 7}, 0.75
	path := filepath.Join(t.TempDir(), "calibration.json")
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCalibration(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("read back (-wrote +read):\n%s", diff)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"request_ms": 0.123457`, `"rpc_ms": 20`, `"thread_start_ms": 0.6`} {
		if !strings.Contains(string(data), line) {
			t.Errorf("the file has no %s:\n%s", line, data)
		}
	}
}

func TestReadCalibrationRefuses(t *testing.T) {
	whole := Paper()
	data, err := whole.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, c := range map[string]struct{ old, new, want string }{
		"another version":              {APIVersion, "chiron/v9", "apiVersion"},
		"a missing one":                {`"inv_ms":4,`, ``, `"inv_ms" is missing`},
		"an unknown one":               {`"inv_ms"`, `"foo_ms":1,"inv_ms"`, `"foo_ms" is not known`},
		"a negative one":               {`"inv_ms":4`, `"inv_ms":-4`, "inv_ms is negative"},
		"beyond a minute":              {`"inv_ms":4`, `"inv_ms":70000`, "over a minute"},
		"too narrow":                   {`}}`, `},"spread":[1]}`, "1 quantiles"},
		"more than all":                {`}}`, `},"together":1.5}`, "together is 1.5"},
		"not ascending":                {`}}`, `},"spread":[1,2,1.5]}`, "not ascending"},
		"a negative one of the spread": {`}}`, `},"spread":[-1,2]}`, "not ascending"},
		"a wild one":                   {`}}`, `},"spread":[1,2000]}`, "not ascending"},
		"no interval":                  {`"switch_interval_ms":5`, `"switch_interval_ms":0`, "switch_interval_ms is 0"},
		"cut short":                    {`}}`, ``, "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%q is not in %s", c.old, good)
			}
			path := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(path, []byte(strings.Replace(good, c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadCalibration(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one with %q and the file's name", err, c.want)
			}
		})
	}
}

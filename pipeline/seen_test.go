package pipeline

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// TestRecalibrate takes T_RPC from what a wrap answers, at its address, behind a
// gateway, and from a file; what is no wrap's word changes nothing.
func TestRecalibrate(t *testing.T) {
	python, err := host.FindInterpreter(t.Context(), "python", "")
	if err != nil {
		t.Fatal(err)
	}
	c := predict.Paper()
	c.Machine, c.Version, c.Created, c.Spread = profile.ThisMachine(), python.Version, time.Now().UTC().Truncate(time.Second), []float64{1, 1}
	dir := t.TempDir()
	file := filepath.Join(dir, "calibration.json")
	const stats = `{"wrap": "wrap-1", "peers": [{"wrap": "wrap-2", "calls": 90, "seen": 60, "overhead_us": 1000}, {"wrap": "wrap-3", "calls": 20, "seen": 20, "overhead_us": 5000}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_/stats", "/function/f/_/stats":
			_, _ = io.WriteString(w, stats)
		case "/alone/_/stats":
			_, _ = io.WriteString(w, `{"wrap": "wrap-1"}`)
		case "/new/_/stats":
			_, _ = io.WriteString(w, `{"wrap": "wrap-1", "peers": [{"wrap": "wrap-2", "calls": 3, "seen": 3, "overhead_us": 1000}]}`)
		case "/page/_/stats":
			_, _ = io.WriteString(w, "<html>")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	kept := filepath.Join(dir, "stats.json")
	if err := os.WriteFile(kept, []byte(stats), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{server.URL, server.URL + "/", server.URL + "/_/stats", server.URL + "/function/f", kept} {
		if err := c.Write(file); err != nil {
			t.Fatal(err)
		}
		r, err := Recalibrate(t.Context(), from, CalibrateOptions{Lang: "python", File: file})
		if err != nil {
			t.Errorf("%s: %v", from, err)
			continue
		}
		got, err := predict.ReadCalibration(file)
		if err != nil || got.RPC != 2*time.Millisecond || r.After != 2 || r.Before != 20 || r.Seen != 80 || r.Wrap != "wrap-1" || got.Startup != c.Startup {
			t.Errorf("%s: %+v, T_RPC %v, %v", from, r, got.RPC, err)
		}
	}
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	for from, part := range map[string]string{
		server.URL + "/none": "404", server.URL + "/page": "no wrap's statistics", server.URL + "/alone": "calls no other", server.URL + "/new": "3 calls",
		"http://127.0.0.1:1": "refused", filepath.Join(dir, "none.json"): "no such file",
	} {
		if r, err := Recalibrate(t.Context(), from, CalibrateOptions{Lang: "python", File: file}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %+v, %v, want %q", from, r, err, part)
		}
	}
	if got, err := predict.ReadCalibration(file); err != nil || got.RPC != c.RPC {
		t.Errorf("a failure has changed T_RPC to %v, %v", got.RPC, err)
	}
}

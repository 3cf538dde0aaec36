package load

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/bad" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		seen.Add(1)
		_, _ = w.Write(body)
	}))
	defer s.Close()
	target := Target{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Body: []byte(`{"a":1}`)}
	r, err := Run(t.Context(), target, Options{Connections: 4, Requests: 100})
	if err != nil || len(r.Latencies) != 100 || seen.Load() != 100 || r.Rate() <= 0 {
		t.Errorf("%d answers of %d requests, %v", len(r.Latencies), seen.Load(), err)
	}
	if r.Percentile(50) > r.Percentile(99) || r.Percentile(100) != r.Latencies[99] {
		t.Errorf("percentiles %v %v %v", r.Percentile(50), r.Percentile(99), r.Percentile(100))
	}
	r, err = Run(t.Context(), target, Options{Connections: 1, Duration: 30 * time.Millisecond})
	if err != nil || len(r.Latencies) == 0 || r.Elapsed < 30*time.Millisecond {
		t.Errorf("%d answers in %v, %v", len(r.Latencies), r.Elapsed, err)
	}
	target.Path = "/bad"
	if _, err := Run(t.Context(), target, Options{Connections: 2, Requests: 10}); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("error %v, want the status", err)
	}
}

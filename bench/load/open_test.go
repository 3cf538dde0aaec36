package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestOpen: requests are sent when they are due, whether others are answered or
// not: all of these are answered together, when the last has come.
func TestOpen(t *testing.T) {
	const n = 20
	var seen atomic.Int64
	all := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		if seen.Add(1) == n {
			close(all)
		}
		<-all
		_, _ = w.Write([]byte("{}"))
	}))
	defer s.Close()
	target := Target{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Body: []byte(`{}`)}
	var times []time.Duration
	for i := range n {
		times = append(times, time.Duration(i)*5*time.Millisecond)
	}
	r, err := Open(t.Context(), target, times)
	if err != nil || len(r.Latencies) != n {
		t.Fatalf("%d answers, %v", len(r.Latencies), err)
	}
	// The first waits for the last, which is due 95 ms later.
	if r.Percentile(100) < 95*time.Millisecond || r.Percentile(1) > r.Percentile(100) {
		t.Errorf("latencies %v", r.Latencies)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, target, times); err == nil {
		t.Error("nothing is sent, and that is no error")
	}
	target.Path = "/bad"
	if _, err := Open(t.Context(), target, times); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("error %v, want the status", err)
	}
}

package load

import (
	"context"
	"errors"
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
	r, err = Run(t.Context(), target, Options{Connections: 2, Requests: 10, CountRefusals: true})
	if err != nil || len(r.Latencies) != 0 || r.Refused[http.StatusTeapot] != 10 || r.Refusals() != 10 {
		t.Errorf("%d answers, %v refused, %v", len(r.Latencies), r.Refused, err)
	}
	if _, err := Run(t.Context(), target, Options{Connections: 2, Requests: 10}); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("error %v, want the status", err)
	}
}

// TestConn: a kept connection, traces longer than its buffer, bodies of any length.
func TestConn(t *testing.T) {
	long := "[" + strings.Repeat(`{"task":"x"},`, 3000) + "{}]"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Chiron-Trace") == "1" {
			w.Header().Set("Chiron-Trace", long)
		}
		w.Header().Set("Content-Length", "7000")
		_, _ = w.Write([]byte(strings.Repeat(string(body), 1000)))
	}))
	defer s.Close()
	c, err := Dial(t.Context(), Target{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Body: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for i := range 4 {
		traced := i%2 == 1
		a, err := c.Post(t.Context(), traced)
		if err != nil || len(a.Body) != 7000 {
			t.Fatalf("request %d: %d bytes, %v", i, len(a.Body), err)
		}
		if want := map[bool]string{true: long}[traced]; a.Trace != want {
			t.Errorf("request %d: a trace of %d bytes, want %d", i, len(a.Trace), len(want))
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Post(ended, false); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// TestAnswers: each different answer is kept once.
func TestAnswers(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte{'a' + byte(n.Add(1)%3)})
	}))
	defer s.Close()
	r, err := Run(t.Context(), Target{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Path: "/"}, Options{Connections: 3, Requests: 60, Answers: true})
	if err != nil || strings.Join(r.Answers, "") != "abc" {
		t.Errorf("answers %q, %v", r.Answers, err)
	}
}

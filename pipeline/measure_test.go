package pipeline

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestMeasureCountsOnlyWhatComesAfterTheWarmUp(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		if n <= 3 {
			time.Sleep(100 * time.Millisecond)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	notes := 0
	m, err := Measure(t.Context(), MeasureOptions{
		URL: server.URL, Input: []byte(`{"a":1}`), Requests: 50, WarmUp: 3,
		Progress: func(Note) { notes++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if n != 53 || notes != 53 || string(m.Output) != `{"a":1}` {
		t.Errorf("%d requests, %d notes, output %s", n, notes, m.Output)
	}
	if m.Latency.P50 <= 0 || m.Latency.P50 > 90*time.Millisecond || m.Latency.Min > m.Latency.P50 || m.Latency.P50 > m.Latency.P99 {
		t.Errorf("latency %+v", m.Latency)
	}
}

func TestMeasureStopsAtTheFirstFailure(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 7 {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("{\"error\":\n\"States.TaskFailed\"}"))
		}
	}))
	defer server.Close()
	_, err := Measure(t.Context(), MeasureOptions{URL: server.URL})
	var failed *RequestError
	if !errors.As(err, &failed) || failed.Number != 7 || failed.Status != 500 {
		t.Fatalf("got %v", err)
	}
	if want := `request 7 was answered 500: {"error": "States.TaskFailed"}`; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if n != 7 {
		t.Errorf("%d requests were sent", n)
	}
}

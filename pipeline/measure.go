package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/profile"
)

// Bounds and defaults of MeasureOptions.
const (
	// MinRequests is the least that a measurement may be made of.
	MinRequests = 50
	// DefaultRequests that are measured.
	DefaultRequests = 100
	// DefaultWarmUp requests go before them and do not count.
	DefaultWarmUp = 10
	// maxAnswer bounds the answer that is read, bytes: more is not kept.
	maxAnswer = 64 << 20
)

// MeasureOptions of Measure.
type MeasureOptions struct {
	// URL to POST to.
	URL string
	// Input is every request's body.
	Input []byte
	// Requests that count, and WarmUp ones before; 0: the defaults.
	Requests, WarmUp int
	Progress         Progress
}

// Measurement is what a number of requests took, one after the other, as their
// caller sees them.
type Measurement struct {
	Requests int
	WarmUp   int
	Latency  profile.Stat
	// Samples are the latencies that count, in order.
	Samples []time.Duration
	// Output of the last request.
	Output []byte
}

// Percentile of the samples, by nearest rank.
func (m *Measurement) Percentile(p float64) time.Duration {
	return quantile.Nearest(slices.Sorted(slices.Values(m.Samples)), p)
}

// RequestError says that a request of the measurement was not answered with
// success.
type RequestError struct {
	// Number of the request, warm-up included, from 1.
	Number int
	Status int
	// Body is the beginning of the answer.
	Body string
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("request %d was answered %d: %s", e.Number, e.Status, e.Body)
}

// Measure sends the requests and times them: from the first byte out to the last
// byte in, on one connection that is kept.
func Measure(ctx context.Context, o MeasureOptions) (*Measurement, error) {
	if o.Requests == 0 {
		o.Requests = DefaultRequests
	}
	if o.WarmUp == 0 {
		o.WarmUp = DefaultWarmUp
	}
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableCompression: true, MaxIdleConns: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	m := &Measurement{Requests: o.Requests, WarmUp: o.WarmUp}
	took := make([]time.Duration, 0, o.Requests)
	for i := range o.WarmUp + o.Requests {
		begun := time.Now()
		status, body, err := post(ctx, client, o.URL, o.Input)
		elapsed := time.Since(begun)
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", i+1, err)
		}
		if status/100 != 2 {
			return nil, &RequestError{Number: i + 1, Status: status, Body: firstText(body)}
		}
		m.Output = body
		if i >= o.WarmUp {
			took = append(took, elapsed)
		}
		o.Progress.tell(Note{
			Step: "measure", Text: fmt.Sprintf("request took %.1f ms", float64(elapsed)/1e6),
			Done: i + 1, Total: o.WarmUp + o.Requests, Passing: true,
		})
	}
	m.Latency, m.Samples = profile.NewStat(took), took
	return m, nil
}

func post(ctx context.Context, client *http.Client, url string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, answer, err
}

// shownBody is how much of a failure's body a message repeats, bytes.
const shownBody = 400

// firstText makes one line of a failure's body.
func firstText(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), shownBody)]), "")
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "(no text)"
	}
	return text
}

package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/wrap"
)

// Recalibrated is what Recalibrate returns.
type Recalibrated struct {
	Constants *predict.Calibration `json:"-"`
	// File that holds them.
	File string `json:"file"`
	// From is what was asked, Wrap which wrap has answered.
	From string `json:"from"`
	Wrap string `json:"wrap"`
	// Seen calls between wraps, and T_RPC before and after, milliseconds.
	Seen   int     `json:"seen"`
	Before float64 `json:"rpc_before_ms"`
	After  float64 `json:"rpc_ms"`
	// Peers are the wraps that were called.
	Peers []wrap.PeerStats `json:"peers"`
}

// Recalibrate takes T_RPC from what a deployed wrap 1 has seen of its calls of the
// others: from is its URL, or that of its function at a gateway, or a file with its
// statistics. The other constants are those that o has, measured before or now; the
// file that o names keeps them all.
func Recalibrate(ctx context.Context, from string, o CalibrateOptions) (*Recalibrated, error) {
	stats, err := readStats(ctx, from)
	if err != nil {
		return nil, err
	}
	var calls []calibrate.Calls
	r := &Recalibrated{From: from, Wrap: stats.Wrap, Peers: stats.Peers}
	for _, p := range stats.Peers {
		calls = append(calls, calibrate.Calls{Seen: p.Seen, Overhead: time.Duration(p.OverheadUS * float64(time.Microsecond))})
		r.Seen += p.Seen
	}
	o.Reuse = true
	base, err := Calibrate(ctx, o)
	if err != nil {
		return nil, err
	}
	if r.Constants, err = calibrate.Seen(base.Constants, calls); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	r.File = base.File
	r.Before, r.After = float64(base.Constants.RPC)/1e6, float64(r.Constants.RPC)/1e6
	return r, r.Constants.Write(r.File)
}

// maxStats bounds a wrap's statistics, bytes.
const maxStats = 4 << 20

// readStats asks a wrap for its statistics, or reads them from a file.
func readStats(ctx context.Context, from string) (*wrap.Stats, error) {
	var in io.ReadCloser
	if u, err := url.Parse(from); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/_/stats") + "/_/stats"
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask wrap 1 what it has seen: %w", err)
		}
		if in = resp.Body; resp.StatusCode != http.StatusOK {
			_ = in.Close()
			return nil, fmt.Errorf("%s answers %s: give the address of wrap 1, or of its function at the gateway", u, resp.Status)
		}
	} else if in, err = os.Open(from); err != nil {
		return nil, fmt.Errorf("what a wrap has seen: %w", err)
	}
	defer func() { _ = in.Close() }()
	var s wrap.Stats
	if err := json.NewDecoder(io.LimitReader(in, maxStats)).Decode(&s); err != nil || s.Wrap == "" {
		return nil, fmt.Errorf("%s has no wrap's statistics (GET /_/stats): give the address of wrap 1", from)
	}
	return &s, nil
}

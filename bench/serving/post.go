package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/chiron-faas/chiron/wrap"
)

// maxAnswer bounds a response, bytes.
const maxAnswer = 64 << 20

// Post makes a request of a wrap; the trace is nil where it is not asked for.
func Post(ctx context.Context, client *http.Client, path string, input []byte, traced bool) (body []byte, trace json.RawMessage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://wrap"+path, bytes.NewReader(input))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if traced {
		req.Header.Set(wrap.HeaderTrace, "1")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("a request was answered with status %d: %.300s", res.StatusCode, body)
	}
	if !traced {
		return body, nil, nil
	}
	trace = json.RawMessage(res.Header.Get(wrap.HeaderTrace))
	if !json.Valid(trace) {
		return nil, nil, fmt.Errorf("a request's trace is no JSON: %.300s", trace)
	}
	return body, trace, nil
}

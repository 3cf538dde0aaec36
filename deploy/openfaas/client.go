package openfaas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/openfaas"
)

// Client speaks to a gateway's REST API.
type Client struct {
	base      *url.URL
	namespace string
	login     Login
	http      *http.Client
}

const (
	// maxAnswer is the largest answer that is read, bytes.
	maxAnswer = 32 << 20
	// maxError is how much of a refusal is shown, bytes.
	maxError = 2000
	// asked bounds one request. A deployment answers when the function runs, where
	// it is our own gateway.
	asked = 2 * time.Minute
)

// NewClient takes a gateway's URL ("http://127.0.0.1:8080"), the functions'
// namespace (empty: the gateway's own) and a login (zero: none).
func NewClient(gateway, namespace string, login Login) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(gateway, "/"))
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("gateway %q is no URL: write for example http://127.0.0.1:8080", gateway)
	}
	u.User = nil // a password is not for messages
	return &Client{base: u, namespace: namespace, login: login, http: &http.Client{
		// A redirect would take the password elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// APIError is a refusal by the gateway.
type APIError struct {
	Status int
	// Text is what it said, one line where it can be.
	Text string
}

func (e *APIError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("it answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("it answered %d: %s", e.Status, e.Text)
}

// URL of the gateway.
func (c *Client) URL() string { return c.base.String() }

// Info asks what serves.
func (c *Client) Info(ctx context.Context) (info openfaas.Info, err error) {
	return info, c.ask(ctx, http.MethodGet, "/system/info", nil, nil, &info)
}

// List asks for all functions.
func (c *Client) List(ctx context.Context) (all []openfaas.Status, err error) {
	return all, c.ask(ctx, http.MethodGet, "/system/functions", nil, nil, &all)
}

// Function asks for one. found is false where there is none.
func (c *Client) Function(ctx context.Context, name string) (s openfaas.Status, found bool, err error) {
	err = c.ask(ctx, http.MethodGet, "/system/function/"+url.PathEscape(name), nil, nil, &s)
	if isStatus(err, http.StatusNotFound) {
		return s, false, nil
	}
	return s, err == nil, err
}

// Create deploys a function that is new; Update one that is there.
func (c *Client) Create(ctx context.Context, d openfaas.Deployment) error {
	return c.ask(ctx, http.MethodPost, "/system/functions", nil, d, nil)
}

// Update changes a function that is there.
func (c *Client) Update(ctx context.Context, d openfaas.Deployment) error {
	return c.ask(ctx, http.MethodPut, "/system/functions", nil, d, nil)
}

// Delete removes a function; one that is not there is no error.
func (c *Client) Delete(ctx context.Context, name string) error {
	err := c.ask(ctx, http.MethodDelete, "/system/functions", nil, openfaas.Delete{FunctionName: name, Namespace: c.namespace}, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func isStatus(err error, status int) bool {
	var refused *APIError
	return errors.As(err, &refused) && refused.Status == status
}

// request makes one.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	if query == nil {
		query = make(url.Values)
	}
	if c.namespace != "" && strings.HasPrefix(path, "/system/") {
		query.Set("namespace", c.namespace)
	}
	text := c.base.String() + path
	if len(query) > 0 {
		text += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, text, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", c.base, err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "chiron")
	if c.login.User != "" {
		req.SetBasicAuth(c.login.User, c.login.Password)
	}
	return req, nil
}

// ask sends a request and decodes the answer into out, unless that is nil.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, in, out any) (err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("gateway %s: %w", c.base, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("gateway %s: %s %s: read the answer: %w", c.base, method, path, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("gateway %s: %s %s: the answer is not the JSON that OpenFaaS gives (it begins %q): is this the URL of an OpenFaaS gateway?", c.base, method, path, firstLine(data))
	}
	return nil
}

// send sends a request; the answer is one of success, its body to be closed.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	switch {
	case err != nil && req.Context().Err() != nil:
		return nil, fmt.Errorf("gateway %s: %s %s: %w", c.base, req.Method, req.URL.Path, context.Cause(req.Context()))
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("gateway %s: nothing serves there: start it, or give another URL with --gateway", c.base)
	case err != nil:
		return nil, fmt.Errorf("gateway %s: %w", c.base, errors.Unwrap(err))
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what came is shown
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		if c.login.User == "" {
			return nil, fmt.Errorf("gateway %s asks for a user and a password: log in with chiron login --gateway %s", c.base, c.base)
		}
		return nil, fmt.Errorf("gateway %s refuses user %q with this password: log in anew with chiron login --gateway %s", c.base, c.login.User, c.base)
	}
	return nil, fmt.Errorf("gateway %s: %s %s: %w", c.base, req.Method, req.URL.Path, &APIError{Status: resp.StatusCode, Text: firstLine(data)})
}

// firstLine is what a gateway, or something else at its place, said; pages of HTML
// say nothing to who reads an error.
func firstLine(data []byte) string {
	text := strings.TrimSpace(string(data))
	if strings.HasPrefix(text, "<") {
		return "a page of HTML"
	}
	line, _, _ := strings.Cut(text, "\n")
	const most = 300
	if len(line) > most {
		line = line[:most] + "…"
	}
	return strings.ToValidUTF8(line, "\uFFFD")
}

package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one asynchronous call as it is kept: what OpenFaaS' QueueRequest has.
type call struct {
	ID          string      `json:"callId"`
	Function    string      `json:"function"` // as in the path, with its namespace
	Method      string      `json:"method"`
	Path        string      `json:"path,omitempty"` // behind the name, escaped
	Query       string      `json:"queryString,omitempty"`
	Host        string      `json:"host,omitempty"`
	Header      http.Header `json:"header,omitempty"`
	Body        []byte      `json:"body,omitempty"`
	CallbackURL string      `json:"callbackUrl,omitempty"`
	Accepted    time.Time   `json:"accepted"`
}

const (
	headerCallID   = "X-Call-Id"
	headerCallback = "X-Callback-Url"
)

// patience bounds the reading of a call's body.
const patience = time.Minute

// ServeHTTP takes a call: POST /async-function/NAME[.NAMESPACE][/PATH]. The gateway
// has seen to it that there is an X-Call-Id.
func (q *Queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/async-function/")
	name, path, _ := strings.Cut(rest, "/")
	if !ok || name == "" {
		http.Error(w, "the function's name is missing: /async-function/NAME", http.StatusBadRequest)
		return
	}
	back, err := callbackOf(r.Header.Get(headerCallback))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(patience)) // not supported: not a connection
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("the body of an asynchronous call is over %d bytes", MaxBody), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	_ = control.SetReadDeadline(time.Time{})
	c := call{
		ID: r.Header.Get(headerCallID), Function: name, Method: r.Method, Path: path, Query: r.URL.RawQuery, Host: r.Host,
		Header: r.Header.Clone(), Body: body, CallbackURL: back, Accepted: time.Now().UTC(),
	}
	for _, h := range []string{headerCallback, "Connection", "Content-Length"} {
		c.Header.Del(h)
	}
	data, err := json.Marshal(c)
	if err == nil {
		_, err = q.js.Publish(r.Context(), subject, data)
	}
	if err != nil {
		q.log.Error("an asynchronous call was not kept", "function", name, "request_id", c.ID, "error", err.Error())
		http.Error(w, "the call could not be kept: try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set(headerCallID, c.ID)
	w.WriteHeader(http.StatusAccepted)
}

// callbackOf checks the address that the answer is to be sent to.
func callbackOf(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s is no address: write http://HOST/PATH", headerCallback)
	}
	return s, nil
}

// redacted is a URL without its password.
func redacted(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "the URL given"
}

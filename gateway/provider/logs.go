package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// logs answers a function's log as lines of JSON, each sent as it comes.
func (p *Provider) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !p.inNamespace(w, r, "") {
		return
	}
	name, here := p.nameOf(q.Get("name"))
	if name == "" {
		refuse(w, http.StatusBadRequest, "name is missing: /system/logs?name=FUNCTION")
		return
	}
	var o deploy.LogOptions
	if text := q.Get("tail"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, "tail %q is no number", text)
			return
		}
		o.Tail = max(n, 0) // 0 and less: all
	}
	if text := q.Get("since"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, "since %q is no time as of RFC 3339, such as 2026-01-02T15:04:05Z", text)
			return
		}
		o.Since = since
	}
	if text := q.Get("follow"); text != "" {
		follow, err := strconv.ParseBool(text)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, "follow %q is neither true nor false", text)
			return
		}
		o.Follow = follow
	}
	f := p.find(name)
	if f == nil || !here {
		refuse(w, http.StatusNotFound, "function %q %v", name, errNotFound)
		return
	}
	v := f.version()
	if v == nil {
		refuse(w, http.StatusNotFound, "function %q has no version that runs: deploy it again", name)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	// Who follows stays longer than an answer may take.
	_ = control.SetWriteDeadline(time.Time{})
	w.WriteHeader(http.StatusOK)
	_ = control.Flush()
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	instance := q.Get("instance")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	err := v.logs(ctx, o, func(l deploy.LogLine) error {
		line := openfaas.LogLine{
			Name: name, Namespace: p.options.Namespace, Instance: cmp.Or(l.Wrap, name), Timestamp: l.Time, Text: l.Text,
			Level: l.Level, Function: l.Function, RequestID: l.RequestID, Stream: l.Stream, Attrs: l.Attrs,
		}
		if instance != "" && instance != line.Instance {
			return nil
		}
		_ = control.SetWriteDeadline(time.Now().Add(writePatience))
		if err := e.Encode(line); err != nil {
			return err
		}
		return control.Flush()
	})
	if err != nil {
		p.log.Debug("a log was not sent to its end", "function", name, "error", err.Error())
	}
}

// writePatience is what a caller has to take a line.
const writePatience = time.Minute

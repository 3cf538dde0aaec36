package openfaas

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// maxLine is the longest line of a log that is read, bytes.
const maxLine = 4 << 20

// Logs implements deploy.Target.
func (t *Target) Logs(ctx context.Context, name string, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	if err := deploy.CheckName(name); err != nil {
		return err
	}
	there, err := t.functions(ctx, name)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		return t.notFound(name)
	}
	var functions []openfaas.Status
	for _, f := range there {
		if len(o.Wraps) == 0 || slices.Contains(o.Wraps, f.Labels[openfaas.LabelWrap]) {
			functions = append(functions, f)
		}
	}
	if o.Tail >= 0 {
		var past []deploy.LogLine
		for _, f := range functions {
			err := t.stream(ctx, f, o, url.Values{"follow": {"false"}}, func(l deploy.LogLine) error {
				past = append(past, l)
				return nil
			})
			if err != nil {
				return err
			}
		}
		for _, l := range logs.Newest(past, o.Tail) {
			if err := emit(l); err != nil {
				return err
			}
			if l.Time.After(o.Since) {
				o.Since = l.Time.Add(1) // following begins behind it
			}
		}
	}
	if !o.Follow {
		return nil
	}
	if o.Since.IsZero() {
		o.Since = time.Now()
	}
	return t.follow(ctx, functions, o, emit)
}

// follow passes on the lines of all functions as they come, until these are gone.
func (t *Target) follow(ctx context.Context, functions []openfaas.Status, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan deploy.LogLine)
	ended := make(chan error, len(functions))
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, f := range functions {
		all.Go(func() {
			ended <- t.stream(ctx, f, o, url.Values{"follow": {"true"}}, func(l deploy.LogLine) error {
				select {
				case lines <- l:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	for range functions {
		for waiting := true; waiting; {
			select {
			case l := <-lines:
				if err := emit(l); err != nil {
					return err
				}
			case err := <-ended:
				if err != nil && ctx.Err() == nil {
					return err
				}
				waiting = false
			}
		}
	}
	return nil
}

// stream reads the log of one function.
func (t *Target) stream(ctx context.Context, f openfaas.Status, o deploy.LogOptions, query url.Values, emit func(deploy.LogLine) error) error {
	query.Set("name", f.Name)
	if !o.Since.IsZero() {
		query.Set("since", o.Since.UTC().Format(time.RFC3339Nano))
	}
	if o.Tail > 0 && o.Function == "" && query.Get("follow") == "false" {
		query.Set("tail", strconv.Itoa(o.Tail))
	}
	req, err := t.client.request(ctx, http.MethodGet, "/system/logs", query, nil)
	if err != nil {
		return err
	}
	resp, err := t.client.send(req)
	if isStatus(err, http.StatusNotFound) {
		return nil // it went since
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	scanner := bufio.NewScanner(resp.Body)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		var l openfaas.LogLine
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return fmt.Errorf("gateway %s: the log of %q has a line that is no JSON (%q): is this an OpenFaaS gateway?", t.client.URL(), f.Name, firstLine(scanner.Bytes()))
		}
		line := readLine(l, f.Labels[openfaas.LabelWrap])
		if o.Function != "" && line.Function != o.Function || line.Time.Before(o.Since) {
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil && ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("gateway %s: the log of %q: %w", t.client.URL(), f.Name, err)
	}
	return nil
}

// readLine takes what our own gateway tells of a line, or, where its text is what
// an agent wrote in a container, that.
func readLine(l openfaas.LogLine, wrap string) deploy.LogLine {
	line := deploy.LogLine{
		Time: l.Timestamp, Wrap: wrap, Level: l.Level, Function: l.Function, RequestID: l.RequestID, Stream: l.Stream, Text: l.Text, Attrs: l.Attrs,
	}
	if own, ok := logs.Agents([]byte(l.Text)); ok && l.Level == "" {
		own.Wrap, own.Attrs = line.Wrap, line.Attrs
		if own.Time.IsZero() {
			own.Time = line.Time
		}
		return own
	}
	return line
}

// lastError is what a function's log says last as an error; empty: nothing.
func (t *Target) lastError(ctx context.Context, function string) (last string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_ = t.stream(ctx, openfaas.Status{Name: function}, deploy.LogOptions{Tail: 100}, url.Values{"follow": {"false"}}, func(l deploy.LogLine) error {
		if l.Level == "ERROR" {
			last = cmp.Or(l.Text, last)
		}
		return nil
	})
	return last
}

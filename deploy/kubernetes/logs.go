package kubernetes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
)

// maxLine is the longest line of a log that is read, bytes.
const maxLine = 4 << 20

// Logs implements deploy.Target. Lines of pods that are gone are gone with them.
func (t *Target) Logs(ctx context.Context, name string, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	if _, err := t.Status(ctx, name); err != nil {
		return err
	}
	begun := time.Now()
	if o.Tail >= 0 {
		found, err := t.podsOf(ctx, name, o)
		if err != nil {
			return err
		}
		var past []deploy.LogLine
		for i := range found {
			err := t.stream(ctx, &found[i], o, false, func(l deploy.LogLine) error {
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
	if o.Since.IsZero() || o.Tail < 0 {
		o.Since = begun
	}
	return t.follow(ctx, name, o, emit)
}

// podsOf are the pods of a deployment whose lines are wanted.
func (t *Target) podsOf(ctx context.Context, name string, o deploy.LogOptions) ([]corev1.Pod, error) {
	found, err := list[corev1.Pod](ctx, t.client, pods, selectorOf(name))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(p corev1.Pod) bool {
		return len(o.Wraps) > 0 && !slices.Contains(o.Wraps, p.Labels[LabelWrap])
	}), nil
}

// follow passes on the lines of all pods as they come, also of those that are made
// meanwhile, until the deployment is gone.
func (t *Target) follow(ctx context.Context, name string, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	asked := ctx
	ctx, cancel := context.WithCancel(ctx)
	lines := make(chan deploy.LogLine)
	failed := make(chan error, 1)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { failed <- t.watch(ctx, name, o, &all, lines) })
	for {
		select {
		case l := <-lines:
			if err := emit(l); err != nil {
				return err
			}
		case err := <-failed:
			if asked.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// watch starts to read every pod that appears, and returns when the deployment is
// gone.
func (t *Target) watch(ctx context.Context, name string, o deploy.LogOptions, all *sync.WaitGroup, lines chan<- deploy.LogLine) error {
	reading := make(map[string]bool)
	return deploy.Poll(ctx, pollEvery, func() (bool, error) {
		if _, err := t.Status(ctx, name); errors.Is(err, deploy.ErrNotFound) {
			return true, nil
		}
		found, err := t.podsOf(ctx, name, o)
		if err != nil {
			return false, err
		}
		for i := range found {
			p := &found[i]
			if reading[p.Name] || p.Status.Phase == corev1.PodPending {
				continue
			}
			reading[p.Name] = true
			all.Go(func() {
				// It ends with its container; what is not read is told of by the next look.
				_ = t.stream(ctx, p, o, true, func(l deploy.LogLine) error {
					select {
					case lines <- l:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
			})
		}
		return false, nil
	})
}

// stream reads the log of one pod.
func (t *Target) stream(ctx context.Context, p *corev1.Pod, o deploy.LogOptions, follow bool, emit func(deploy.LogLine) error) error {
	query := url.Values{"container": {containerName}}
	if follow {
		query.Set("follow", "true")
	}
	if !o.Since.IsZero() {
		query.Set("sinceTime", o.Since.UTC().Format(time.RFC3339)) // whole seconds: finer below
	}
	if o.Tail > 0 && o.Function == "" && !follow {
		query.Set("tailLines", fmt.Sprint(o.Tail))
	}
	u := t.client.base.JoinPath("api", "v1", "namespaces", t.client.namespace, "pods", p.Name, "log")
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	what := "read the log of pod " + p.Name
	resp, err := t.client.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return t.client.explain(what, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		err := refusal(resp, http.MethodGet)
		if absent(err) || apierrors.IsBadRequest(err) && !apierrors.IsUnexpectedServerError(err) {
			return nil // the pod has gone since, or its container has not begun
		}
		return t.client.explain(what, err)
	}
	scanner := bufio.NewScanner(resp.Body)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		line := readLine(scanner.Bytes(), p.Labels[LabelWrap])
		if o.Function != "" && line.Function != o.Function || !line.Time.IsZero() && line.Time.Before(o.Since) {
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil && ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// refusal is what the API says where it does not do what it is asked for, as client-go
// has it of other requests.
func refusal(resp *http.Response, method string) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what came is told
	var status metav1.Status
	if json.Unmarshal(text, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return apierrors.NewGenericServerResponse(resp.StatusCode, method, schema.GroupResource{}, "", string(text), 0, true)
}

// readLine takes a line as an agent writes it, or any other as it is.
func readLine(text []byte, wrap string) deploy.LogLine {
	line, ok := logs.Agents(text)
	if !ok {
		line.Text = string(text)
	}
	line.Wrap = wrap
	return line
}

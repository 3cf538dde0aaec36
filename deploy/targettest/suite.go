// Package targettest is the contract of deploy.Target as tests: every target
// runs them and passes.
package targettest

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
	"testing"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// Suite is what a target brings to the contract.
type Suite struct {
	Target deploy.Target
	// Good makes a deployment of two wraps at least, of a workflow that answers
	// Input with Output; its function Function answers the same, and prints
	// "printed by NAME" for its own name.
	Good          func(t *testing.T, name string) deploy.Deployment
	Function      string
	Input, Output string
	// Broken makes a deployment whose function cannot be imported, because of an
	// error that reads as Message.
	Broken  func(t *testing.T, name string) deploy.Deployment
	Message string
	// Opaque says that the target is not told of restarts and processes: a wrap that
	// was killed is only seen to answer again.
	Opaque bool
	// Kill kills a wrap's first process as SIGKILL does; Left says what of a
	// deployment still runs.
	Kill func(t *testing.T, w deploy.WrapStatus)
	Left func(t *testing.T) []string
}

// patience is for what a machine does in a moment unless it is very busy.
const patience = 20 * time.Second

// Run runs the contract.
func (s Suite) Run(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"up, invoke, down", s.upInvokeDown},
		{"a second of the same name", s.second},
		{"what cannot start", s.broken},
		{"a wrap is killed", s.killed},
		{"instances", s.instances},
		{"logs", s.logs},
		{"what there is not", s.absent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() { s.nothingLeft(t) }) // the last of the cleanups
			c.run(t)
		})
	}
}

func (s Suite) up(t *testing.T, name string) deploy.Running {
	t.Helper()
	r, err := s.Target.Up(t.Context(), s.Good(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (s Suite) nothingLeft(t *testing.T) {
	t.Helper()
	if left := s.Left(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func (s Suite) upInvokeDown(t *testing.T) {
	r := s.up(t, "one")
	s.expect(t, r.Workflow())
	e, ok := r.Function(s.Function)
	if !ok {
		t.Fatalf("function %q has no endpoint", s.Function)
	}
	s.expect(t, e)
	if _, ok := r.Function("none"); ok {
		t.Error("a function that there is not has an endpoint")
	}
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.State != deploy.Up || len(status.Wraps) < 2 {
		t.Errorf("status %+v, want up with two wraps", status)
	}
	for _, w := range status.Wraps {
		if w.State != deploy.WrapReady || w.Restarts != 0 {
			t.Errorf("wrap %+v, want ready", w)
		}
	}
	list, err := s.Target.List(t.Context())
	if err != nil || !slices.ContainsFunc(list, func(x deploy.Status) bool { return x.Name == "one" && x.State == deploy.Up }) {
		t.Errorf("list %+v, %v: want \"one\", up", list, err)
	}
	if err := s.Target.Down(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Error("taken down, and not done")
	}
	if status, _, err := Invoke(t.Context(), r.Workflow(), s.Input); err == nil && status != http.StatusNotFound {
		t.Error("it answers after it was taken down")
	}
	if _, err := s.Target.Status(t.Context(), "one"); !errors.Is(err, deploy.ErrNotFound) {
		t.Errorf("status after down: error %v, want ErrNotFound", err)
	}
	if err := r.Down(t.Context()); err != nil {
		t.Errorf("a second Down of the same: %v", err)
	}
	s.nothingLeft(t)
}

func (s Suite) second(t *testing.T) {
	r := s.up(t, "twice")
	if _, err := s.Target.Up(t.Context(), s.Good(t, "twice")); !errors.Is(err, deploy.ErrExists) {
		t.Errorf("a second Up: error %v, want ErrExists", err)
	}
	s.expect(t, r.Workflow())
	other := s.up(t, "twice-other")
	s.expect(t, other.Workflow())
}

func (s Suite) broken(t *testing.T) {
	_, err := s.Target.Up(t.Context(), s.Broken(t, "broken"))
	var start *deploy.StartError
	if !errors.As(err, &start) || !strings.Contains(start.Message, s.Message) {
		t.Errorf("error %v, want a StartError with %q", err, s.Message)
	}
	if _, err := s.Target.Status(t.Context(), "broken"); !errors.Is(err, deploy.ErrNotFound) {
		t.Errorf("status: error %v, want ErrNotFound", err)
	}
	s.nothingLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Target.Up(ctx, s.Good(t, "called-off")); !errors.Is(err, context.Canceled) {
		t.Errorf("Up that was called off: error %v", err)
	}
	s.nothingLeft(t)
}

func (s Suite) killed(t *testing.T) {
	r := s.up(t, "killed")
	before, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range before.Wraps {
		s.Kill(t, w)
		s.eventually(t, "wrap "+w.Name+" is back", func() error {
			if _, body, err := Invoke(t.Context(), r.Workflow(), s.Input); err != nil || body != s.Output {
				return fmt.Errorf("answer %q, %w", body, err)
			}
			now, err := r.Status(t.Context())
			if err != nil {
				return err
			}
			for _, x := range now.Wraps {
				if !s.Opaque && x.Name == w.Name && (x.Restarts != 1 || x.State != deploy.WrapReady || x.PID == w.PID) {
					return fmt.Errorf("wrap %+v, was %+v", x, w)
				}
			}
			return nil
		})
	}
}

// instances holds for targets that can have more than one.
func (s Suite) instances(t *testing.T) {
	r := s.up(t, "many")
	scalable, ok := r.(deploy.Scalable)
	if !ok {
		t.Skip("this target runs one instance of a deployment")
	}
	count := func() int {
		status, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		numbers := make(map[int]bool)
		for _, w := range status.Wraps {
			numbers[w.Instance] = true
		}
		return len(numbers)
	}
	answers := func(i deploy.Instance) {
		t.Helper()
		e := r.Workflow()
		if e.Network, e.Address, ok = i.Address(e.Wrap); !ok {
			t.Fatalf("instance %d has no wrap %q", i.Number(), e.Wrap)
		}
		s.expect(t, e)
	}
	second, err := scalable.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.Number() != 2 || count() != 2 {
		t.Errorf("instance %d is the second of %d", second.Number(), count())
	}
	if _, _, ok := second.Address("none"); ok {
		t.Error("a wrap that there is not has an address")
	}
	answers(second)
	if err := scalable.First().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers(second)
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := r.Status(t.Context()); err != nil || status.State != deploy.Idle || len(status.Wraps) != 0 {
		t.Errorf("without an instance: %+v, %v", status, err)
	}
	again, err := scalable.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again.Number() != 1 {
		t.Errorf("instance %d after all were stopped, want number 1 again", again.Number())
	}
	answers(again)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := scalable.Start(ctx); err == nil {
		t.Error("a start that was not waited for has an instance")
	}
	if count() != 1 {
		t.Errorf("%d instances after a start that was ended, want 1", count())
	}
	if err := r.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := scalable.Start(t.Context()); err == nil {
		t.Error("an instance started after Down")
	}
}

func (s Suite) logs(t *testing.T) {
	r := s.up(t, "logs")
	s.expect(t, r.Workflow())
	want := "printed by " + s.Function
	s.eventually(t, "the function's line is in the log", func() error {
		found := false
		err := s.Target.Logs(t.Context(), "logs", deploy.LogOptions{Function: s.Function}, func(l deploy.LogLine) error {
			if l.Function != s.Function {
				return fmt.Errorf("line %+v is of another function", l)
			}
			found = found || l.Text == want && l.RequestID != ""
			return nil
		})
		if err == nil && !found {
			err = fmt.Errorf("no line %q", want)
		}
		return err
	})
	// Following sees a line that comes later, and ends with the deployment.
	seen, ended := make(chan struct{}, 16), make(chan error, 1)
	go func() {
		ended <- s.Target.Logs(t.Context(), "logs", deploy.LogOptions{Function: s.Function, Tail: -1, Follow: true}, func(deploy.LogLine) error {
			seen <- struct{}{}
			return nil
		})
	}()
	time.Sleep(300 * time.Millisecond) // the follower has skipped the past
	s.expect(t, r.Workflow())
	select {
	case <-seen:
	case <-time.After(patience):
		t.Error("a new line was not followed")
	}
	if err := s.Target.Down(t.Context(), "logs"); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("following does not end with the deployment")
	}
}

func (s Suite) absent(t *testing.T) {
	for _, name := range []string{"nobody", "No Name", "../x"} {
		_, err1 := s.Target.Status(t.Context(), name)
		err2 := s.Target.Down(t.Context(), name)
		err3 := s.Target.Logs(t.Context(), name, deploy.LogOptions{}, func(deploy.LogLine) error { return nil })
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, deploy.ErrNotFound) {
				t.Errorf("%q: error %v, want ErrNotFound", name, err)
			}
		}
	}
}

func (s Suite) expect(t *testing.T, e deploy.Endpoint) {
	t.Helper()
	status, body, err := Invoke(t.Context(), e, s.Input)
	if err != nil || status != http.StatusOK || body != s.Output {
		t.Fatalf("%s: %d %q, %v, want %q", e.Path, status, body, err, s.Output)
	}
}

func (s Suite) eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// Invoke posts a JSON body to an endpoint.
func Invoke(ctx context.Context, e deploy.Endpoint, body string) (status int, answer string, err error) {
	client := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx) },
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://wrap"+e.Path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(data)), errors.Join(err, resp.Body.Close())
}

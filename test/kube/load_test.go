package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load is requests that go on until stop.
type load struct {
	t       *testing.T
	cancel  context.CancelFunc
	senders sync.WaitGroup

	mu     sync.Mutex
	served int     // guarded by mu
	failed []error // guarded by mu
}

// pause between two requests of a sender.
const pause = 30 * time.Millisecond

// steadily sends requests one after the other from several senders, of which one
// keeps its connection and the others make a new one each time: a Service chooses a
// pod for a connection. Every answer has to be
// right.
func steadily(d *deployment) *load {
	t, url, input := d.t, d.url(), d.sample()
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, cancel: cancel}
	for i := range 3 {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: i > 0}}
		l.senders.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				l.send(client, url, input, d.want)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	t.Cleanup(func() { cancel(); l.senders.Wait() })
	return l
}

// send sends one request. It is not cut short when the load stops.
func (l *load) send(client *http.Client, url string, input []byte, want any) {
	begun := time.Now()
	got, err := invoke(context.Background(), client, url, input)
	if err == nil && !cmp.Equal(want, got) {
		err = fmt.Errorf("another answer: %v", got)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, fmt.Errorf("sent %s, after %v: %w", begun.Format("15:04:05.000"), time.Since(begun).Round(time.Millisecond), err))
		return
	}
	l.served++
}

// soFar is how many requests have been answered.
func (l *load) soFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served
}

// more waits until n further requests have been answered.
func (l *load) more(n int) {
	l.t.Helper()
	from := l.soFar()
	eventually(l.t, 90*time.Second, func() error {
		if now := l.soFar(); now < from+n {
			return fmt.Errorf("%d requests answered, %d are wanted", now-from, n)
		}
		return nil
	})
}

// stop ends the load, and reports every request that failed as an error.
func (l *load) stop() {
	l.t.Helper()
	l.cancel()
	l.senders.Wait()
	for i, err := range l.failed {
		if i == 5 {
			break
		}
		l.t.Error(err)
	}
	l.t.Logf("%d requests answered, %d failed", l.served, len(l.failed))
}

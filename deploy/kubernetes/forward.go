package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/deploy"
)

// Forward is a port of this machine that leads to a pod of a wrap, until Close.
type Forward struct {
	// URL of the port, and the Path there that invokes what was asked for.
	URL, Path string
	stop      chan struct{}
	once      sync.Once
	ended     chan error
}

// Close gives the port back.
func (f *Forward) Close() {
	f.once.Do(func() { close(f.stop) })
	<-f.ended
}

// Invoke opens a way from this machine to a workflow, or to a function of one,
// through the API server and the kubelet: it needs the right to create
// pods/portforward and none of the network's, and network policies have no say in it.
func (t *Target) Invoke(ctx context.Context, name string) (*Forward, error) {
	all, err := t.states(ctx, labelManagedBy+"="+Manager+","+LabelDeployment)
	if err != nil {
		return nil, err
	}
	if s := all[name]; s != nil && s.service != nil {
		return t.forwardTo(ctx, name, s, "", "/")
	}
	for deployment, s := range all {
		for i := range s.deployments {
			d := &s.deployments[i]
			functions := strings.Split(d.Annotations[AnnotationFunctions], ",")
			if s.service != nil && d.Labels[LabelRevision] == s.service.Spec.Selector[LabelRevision] && slices.Contains(functions, name) {
				return t.forwardTo(ctx, deployment, s, d.Labels[LabelWrap], "/function/"+name)
			}
		}
	}
	if err := t.client.checkNamespace(ctx, "invoke "+name); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w, nor a function, %q in %s", deploy.ErrNotFound, name, t.client)
}

// forwardTo forwards to a pod of a wrap that is ready; wrap empty: wrap 1.
func (t *Target) forwardTo(ctx context.Context, deployment string, s *there, wrap, path string) (*Forward, error) {
	choose := s.service.Spec.Selector
	if wrap == "" {
		wrap = choose[LabelWrap]
	}
	for i := range s.pods {
		p := &s.pods[i]
		if p.Labels[LabelWrap] == wrap && p.Labels[LabelRevision] == choose[LabelRevision] && p.DeletionTimestamp == nil && podReady(p) {
			f, err := t.client.forward(ctx, p.Name)
			if err != nil {
				return nil, err
			}
			f.Path = path
			return f, nil
		}
	}
	return nil, fmt.Errorf("invoke %q: no pod of %s is ready: chiron ps --target kubernetes shows why", deployment, wrap)
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// forward opens a port to a pod.
func (c *Client) forward(ctx context.Context, pod string) (*Forward, error) {
	u := c.base.JoinPath("api", "v1", "namespaces", c.namespace, "pods", pod, "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s: %w", pod, err)
	}
	asks := &upgrade{RoundTripper: transport}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: asks}, http.MethodPost, u)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, c.config)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s: %w", pod, err)
	}
	// Proxies pass websockets on; clusters before 1.30 do not know them here.
	dialer := portforward.NewFallbackDialerForStreaming(websocket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	f := &Forward{stop: make(chan struct{}), ended: make(chan error, 1)}
	ready := make(chan struct{})
	var said lockedBuffer
	forwarder, err := portforward.NewForStreaming(dialer, []string{fmt.Sprintf("0:%d", oci.Port)}, f.stop, ready, io.Discard, &said)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s: %w", pod, err)
	}
	go func() { // ends with Close, or where the connection breaks
		err := forwarder.ForwardPorts()
		f.ended <- err
		close(f.ended)
	}()
	select {
	case <-ready:
	case err := <-f.ended:
		if asks.failed != nil {
			err = asks.failed
		}
		return nil, c.explain("reach pod "+pod, errors.Join(err, said.err()))
	case <-ctx.Done():
		f.Close()
		return nil, context.Cause(ctx)
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) == 0 {
		f.Close()
		return nil, fmt.Errorf("reach pod %s: %w", pod, errors.Join(err, errors.New("no port was opened")))
	}
	f.URL = fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local)
	return f, nil
}

// upgrade keeps why a connection was not made: those that it goes through pass on words
// alone.
type upgrade struct {
	http.RoundTripper
	failed error // written before the forwarder ends
}

// RoundTrip implements http.RoundTripper.
func (u *upgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = refusal(resp, req.Method)
		_ = resp.Body.Close()
		resp = nil
	}
	u.failed = err
	return resp, err
}

// lockedBuffer keeps what a forwarder's goroutines say.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if text := strings.TrimSpace(b.text.String()); text != "" {
		return errors.New(text)
	}
	return nil
}

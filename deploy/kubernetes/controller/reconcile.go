package controller

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// Options of New. The first four are needed.
type Options struct {
	// Reader reads Workflows and ConfigMaps as they are now, not as a cache had them:
	// what has failed must not be forgotten for a moment.
	Reader client.Reader
	// Writer writes Workflows' status.
	Writer client.StatusClient
	// Cluster is where what runs is applied, whatever the client's namespace.
	Cluster *kubernetes.Client
	Events  events.EventRecorder
	// CalibrationFile has the constants for Workflows that name none; where it is empty
	// or not there, they have to. It is read each time: a ConfigMap that is mounted may
	// come and change.
	CalibrationFile string
	// StartTimeout is how long a revision may take until all its wraps are ready,
	// where another serves meanwhile; 0: DefaultStartTimeout.
	StartTimeout time.Duration
	// RetryAfter is how long after it did not come up it is tried again, and then
	// twice as long each time, up to an hour; 0: DefaultRetryAfter.
	RetryAfter time.Duration
	// Drain as kubernetes.Options has it.
	Drain time.Duration
	// Now is the time; nil: time.Now.
	Now func() time.Time
}

// Defaults of Options.
const (
	// DefaultStartTimeout is for nodes that are made first.
	DefaultStartTimeout = 5 * time.Minute
	DefaultRetryAfter   = 5 * time.Minute
	DefaultDrain        = 3 * time.Second
)

// How soon a Workflow is looked at again where nothing wakes it up.
const (
	// pollEvery is for what is on its way.
	pollEvery = 2 * time.Second
	// patience is for a first revision that is over its time.
	patience = 15 * time.Second
	// resync is how often everything is applied again, in case somebody has changed it.
	resync = 10 * time.Minute
)

// Reconciler brings what runs of Workflows to what they ask for. It implements
// reconcile.Reconciler.
type Reconciler struct {
	options Options
	planner *planner

	mu sync.Mutex
	// memories are a convenience: without them some things are done twice. Guarded by
	// mu.
	memories map[types.UID]*memory
	names    map[types.NamespacedName]types.UID // guarded by mu
}

// memory is of one Workflow, which is reconciled by one goroutine at a time.
type memory struct {
	// applied is the digest of the objects that were applied at a time.
	applied [sha256.Size]byte
	at      time.Time
	// clean is the revision beside which nothing is left of others.
	clean string
}

var _ reconcile.Reconciler = (*Reconciler)(nil)

// New makes a Reconciler.
func New(o Options) *Reconciler {
	if o.StartTimeout <= 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	if o.RetryAfter <= 0 {
		o.RetryAfter = DefaultRetryAfter
	}
	if o.Drain <= 0 {
		o.Drain = DefaultDrain
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Reconciler{options: o, planner: newPlanner(), memories: make(map[types.UID]*memory), names: make(map[types.NamespacedName]types.UID)}
}

// Reconcile implements reconcile.Reconciler: it looks at one Workflow, does the next
// step, and writes down what it has found.
func (c *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var w v1alpha1.Workflow
	if err := c.options.Reader.Get(ctx, req.NamespacedName, &w); err != nil {
		if apierrors.IsNotFound(err) {
			c.forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read Workflow %s: %w", req, err)
	}
	if w.DeletionTimestamp != nil {
		return reconcile.Result{}, nil // what it owns goes with it
	}
	found := newReport(&w)
	after, err := c.advance(ctx, &w, found)
	return reconcile.Result{RequeueAfter: after}, errors.Join(err, c.write(ctx, &w, found))
}

// write writes the status where it has changed, and tells what has happened.
func (c *Reconciler) write(ctx context.Context, w *v1alpha1.Workflow, found *report) error {
	if !reflect.DeepEqual(w.Status, *found.status) {
		changed := w.DeepCopy()
		changed.Status = *found.status
		if err := c.options.Writer.Status().Patch(ctx, changed, client.MergeFrom(w)); err != nil {
			return client.IgnoreNotFound(err) // told again the next time
		}
	}
	for _, e := range found.events {
		c.options.Events.Eventf(w, nil, e.kind, e.reason, "Reconcile", "%s", e.message)
	}
	return nil
}

// remember returns what is known of a Workflow.
func (c *Reconciler) remember(w *v1alpha1.Workflow) *memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := types.NamespacedName{Namespace: w.Namespace, Name: w.Name}
	if before, ok := c.names[name]; ok && before != w.UID {
		delete(c.memories, before)
		c.planner.forget(before)
	}
	c.names[name] = w.UID
	m := c.memories[w.UID]
	if m == nil {
		m = &memory{}
		c.memories[w.UID] = m
	}
	return m
}

func (c *Reconciler) forget(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.names[name]; ok {
		delete(c.memories, id)
		delete(c.names, name)
		c.planner.forget(id)
	}
}

// target is the Workflow's namespace.
func (c *Reconciler) target(namespace string, s kubernetes.Settings) (*kubernetes.Target, error) {
	return kubernetes.New(kubernetes.Options{Client: c.options.Cluster.In(namespace), Settings: s})
}

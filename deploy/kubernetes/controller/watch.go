package controller

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// CacheOf is what a manager of the controller has to see: of Deployments and Services
// those that are ours. namespace is the one that it works in; empty: all of them.
func CacheOf(namespace string) cache.Options {
	ours := labels.SelectorFromSet(labels.Set{"app.kubernetes.io/managed-by": kubernetes.Manager})
	o := cache.Options{ByObject: map[client.Object]cache.ByObject{
		&appsv1.Deployment{}: {Label: ours}, &corev1.Service{}: {Label: ours},
	}}
	if namespace != "" {
		o.DefaultNamespaces = map[string]cache.Config{namespace: {}}
	}
	return o
}

// Register has a manager, whose scheme knows v1alpha1, wake up the reconciler: for a
// Workflow whose spec has changed, what runs of it, and the ConfigMaps that it is
// planned with. workers is how many Workflows are reconciled at once.
func Register(m manager.Manager, r *Reconciler, workers int) error {
	users := func(ctx context.Context, o client.Object) []reconcile.Request {
		return usersOf(ctx, m.GetClient(), o)
	}
	err := builder.ControllerManagedBy(m).Named("workflow").
		For(&v1alpha1.Workflow{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&appsv1.Deployment{}, builder.OnlyMetadata).
		Owns(&corev1.Service{}, builder.OnlyMetadata).
		// Of ConfigMaps only the names are kept here; what they hold is read when it is
		// planned with.
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(users)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("watch Workflows: %w", err)
	}
	return nil
}

// usersOf are the Workflows that are planned with what a ConfigMap holds.
func usersOf(ctx context.Context, c client.Reader, m client.Object) (requests []reconcile.Request) {
	var all v1alpha1.WorkflowList
	if err := c.List(ctx, &all, client.InNamespace(m.GetNamespace())); err != nil {
		return nil // the cache has ended; the resync finds what has changed
	}
	for i := range all.Items {
		w := &all.Items[i]
		if w.Spec.Profile.ConfigMap == m.GetName() || w.Spec.Calibration != nil && w.Spec.Calibration.ConfigMap == m.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(w)})
		}
	}
	return requests
}

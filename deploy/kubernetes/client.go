package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Access says which cluster is meant, and as whom.
type Access struct {
	// Kubeconfig is a file; empty: those of $KUBECONFIG, or ~/.kube/config, or,
	// without one, the cluster that this program runs in.
	Kubeconfig string
	// Context of the file; empty: its current one.
	Context string
	// Namespace; empty: the context's, or "default".
	Namespace string
}

// Client speaks to a cluster's API, about one namespace. It knows the few resources
// that deployments consist of, by their paths: the typed client of all of Kubernetes
// would double the program.
type Client struct {
	config    *rest.Config
	http      *http.Client
	dynamic   dynamic.Interface
	base      *url.URL
	namespace string
	user      string // of messages
}

// asked bounds one request that is no stream.
const asked = 30 * time.Second

// NewClient reads the access; nothing is asked yet.
func NewClient(a Access) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.Context}
	overrides.Context.Namespace = a.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, errors.New("no cluster is named: give a file with --kubeconfig, or set KUBECONFIG")
		}
		return nil, fmt.Errorf("read which cluster is meant: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read which namespace is meant: %w", err)
	}
	return ClientFor(config, namespace)
}

// ClientFor makes a client of a configuration.
func ClientFor(config *rest.Config, namespace string) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "chiron"
	// Polls of a deployment are few; the default of 5 a second would slow them.
	config.QPS, config.Burst = 50, 100
	c := &Client{config: config, namespace: namespace, user: config.Username}
	if c.namespace == "" {
		c.namespace = metav1.NamespaceDefault
	}
	var err error
	if c.base, _, err = rest.DefaultServerUrlFor(config); err != nil {
		return nil, fmt.Errorf("the cluster's address: %w", err)
	}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("the cluster's credentials: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("the cluster %s: %w", c.base.Host, err)
	}
	return c, nil
}

// Namespace that the client is about.
func (c *Client) Namespace() string { return c.namespace }

// String names the cluster and the namespace.
func (c *Client) String() string {
	return fmt.Sprintf("namespace %s of %s", c.namespace, c.base.Host)
}

// kind is a kind of object that deployments consist of.
type kind struct {
	schema.GroupVersionResource
	name string
}

func kindOf(group, version, resource, name string) kind {
	return kind{schema.GroupVersionResource{Group: group, Version: version, Resource: resource}, name}
}

// The kinds, by what they are called.
var (
	services    = kindOf("", "v1", "services", "Service")
	accounts    = kindOf("", "v1", "serviceaccounts", "ServiceAccount")
	configMaps  = kindOf("", "v1", "configmaps", "ConfigMap")
	pods        = kindOf("", "v1", "pods", "Pod")
	deployments = kindOf("apps", "v1", "deployments", "Deployment")
	replicaSets = kindOf("apps", "v1", "replicasets", "ReplicaSet")
	scalers     = kindOf("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
	budgets     = kindOf("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
	policies    = kindOf("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
)

// made are the kinds that a deployment is applied as, in the order in which they are
// removed.
func made() []kind {
	return []kind{services, scalers, deployments, budgets, policies, configMaps, accounts}
}

func (c *Client) of(k kind) dynamic.ResourceInterface {
	return c.dynamic.Resource(k.GroupVersionResource).Namespace(c.namespace)
}

// apply makes an object, or changes it to what is asked for.
func (c *Client) apply(ctx context.Context, o runtime.Object) error {
	u, err := plain(o)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(made(), func(k kind) bool { return k.name == u.GetKind() })
	if i < 0 {
		return fmt.Errorf("apply %s %q: no such kind is applied", u.GetKind(), u.GetName())
	}
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	_, err = c.of(made()[i]).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: Manager, Force: true})
	return c.explain("apply "+strings.ToLower(u.GetKind())+" "+u.GetName(), err)
}

// get reads an object into to; false where there is none.
func (c *Client) get(ctx context.Context, k kind, name string, to any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	u, err := c.of(k).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, c.explain("read "+k.Resource+" "+name, err)
	}
	return true, typed(u, to)
}

// list reads all objects of a kind that a selector chooses.
func list[T any](ctx context.Context, c *Client, k kind, selector string) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	found, err := c.of(k).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain("list "+k.Resource, err)
	}
	all := make([]T, len(found.Items))
	for i := range found.Items {
		if err := typed(&found.Items[i], &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func typed(u *unstructured.Unstructured, to any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, to); err != nil {
		return fmt.Errorf("%s %q is not of the form that this program knows: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// remove removes an object; one that is not there is no error.
func (c *Client) remove(ctx context.Context, k kind, name string) error {
	ctx, cancel := context.WithTimeout(ctx, asked)
	defer cancel()
	err := c.of(k).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return c.explain("remove "+k.Resource+" "+name, err)
}

// explain says what became of a request, and what to do.
func (c *Client) explain(what string, err error) error {
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: cluster %s refuses the credentials: log in to it again, or choose others with --context: %w", what, c.base.Host, err)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "because it is being terminated"):
		return fmt.Errorf("%s: namespace %s is being removed: wait, or choose another with --namespace: %w", what, c.namespace, err)
	case apierrors.IsForbidden(err):
		// The API's own words name the user, the verb, the resource and the namespace.
		return fmt.Errorf("%s: %w: ask for that right (docs/kubernetes.md lists all that are needed), or choose another namespace", what, err)
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "namespaces "):
		return fmt.Errorf("%s: there is no namespace %q on %s: make it with kubectl create namespace %s, or choose another with --namespace", what, c.namespace, c.base.Host, c.namespace)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsConflict(err):
		return fmt.Errorf("%s: the cluster refuses it: %w", what, err)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.As(err, &dns):
		return fmt.Errorf("%s: the cluster at %s cannot be reached: is it up, and is this the one that you mean (--context)? %w", what, c.base.Host, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: the cluster at %s has not answered in time: %w", what, c.base.Host, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

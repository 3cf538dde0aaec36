package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Client speaks to a cluster's API, about one namespace. It knows the few resources
// that deployments consist of, by their paths: the typed client of all of Kubernetes
// would double the program.
type Client struct {
	config    *rest.Config
	http      *http.Client
	dynamic   dynamic.Interface
	base      *url.URL
	context   string // of the kubeconfig; empty: it is of none
	namespace string
}

// asked bounds one request that is no stream.
const asked = 30 * time.Second

// patience bounds one request: a login program may have to ask its user something
// before it, in a browser.
func (c *Client) patience() time.Duration {
	if c.config.ExecProvider != nil {
		return asked + 5*time.Minute
	}
	return asked
}

// ClientFor makes a client of a configuration.
func ClientFor(config *rest.Config, namespace string) (*Client, error) {
	return newClient(config, "", namespace)
}

// newClient makes a client of a configuration that is a context's of a kubeconfig.
func newClient(config *rest.Config, contextName, namespace string) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "chiron"
	// No bound of its own, whose refusals near a deadline are no answers of the cluster's:
	// requests come one after the other, polls with pauses, and the API server has its own
	// fairness.
	config.QPS = -1
	// They would be written among this program's own lines; what is refused is told.
	config.WarningHandler = rest.NoWarnings{}
	c := &Client{config: config, context: contextName, namespace: namespace}
	if c.namespace == "" {
		c.namespace = metav1.NamespaceDefault
	}
	var err error
	if c.base, _, err = rest.DefaultServerUrlFor(config); err != nil {
		return nil, c.told(fmt.Sprintf("the server %q of context %q is no URL: mend the kubeconfig", config.Host, contextName), err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, c.unusable(err)
	}
	// A copy, as it may be everybody's.
	own := *client
	// A redirect would take the credentials elsewhere; no API server sends one.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &own
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, c.http); err != nil {
		return nil, c.unusable(err)
	}
	return c, nil
}

// In is a client of the same cluster, as the same user, about another namespace.
func (c *Client) In(namespace string) *Client {
	other := *c
	other.namespace = namespace
	return &other
}

// Config that the client was made of, for others to make theirs of.
func (c *Client) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Namespace that the client is about.
func (c *Client) Namespace() string { return c.namespace }

// String names the cluster and the namespace.
func (c *Client) String() string { return fmt.Sprintf("namespace %s of %s", c.namespace, c.cluster()) }

// cluster names it: its URL, without what may be a password, and the context.
func (c *Client) cluster() string {
	u := url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: strings.TrimRight(c.base.Path, "/")}
	if c.context == "" {
		return u.String()
	}
	return fmt.Sprintf("%s (context %s)", &u, c.context)
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
	namespaces  = kindOf("", "v1", "namespaces", "Namespace")
	events      = kindOf("", "v1", "events", "Event")
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
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	_, err = c.of(made()[i]).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: Manager, Force: true})
	return c.explain("apply "+strings.ToLower(u.GetKind())+" "+u.GetName(), err)
}

// get reads an object into to; false where there is none.
func (c *Client) get(ctx context.Context, k kind, name string, to any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	u, err := c.of(k).Get(ctx, name, metav1.GetOptions{})
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, c.explain("read "+k.Resource+" "+name, err)
	}
	return true, typed(u, to)
}

// list reads all objects of a kind that a selector chooses.
func list[T any](ctx context.Context, c *Client, k kind, selector string) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
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
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	err := c.of(k).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if absent(err) {
		return nil
	}
	return c.explain("remove "+k.Resource+" "+name, err)
}

// checkNamespace says so where the namespace is not there: asked for what is in it, the
// API lists nothing. Who may not read namespaces is not told.
func (c *Client) checkNamespace(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	_, err := c.dynamic.Resource(namespaces.GroupVersionResource).Get(ctx, c.namespace, metav1.GetOptions{})
	if absentNamespace(err) {
		return c.explain(what, err)
	}
	return nil
}

package kubernetes

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
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

// NewClient reads the access; nothing is asked yet.
func NewClient(a Access) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.Context}
	overrides.Context.Namespace = a.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	k := kubeconfig{files: rules.Precedence, context: a.Context}
	if a.Kubeconfig != "" {
		k.files = []string{a.Kubeconfig}
	}
	var err error
	if k.text, err = loader.RawConfig(); err != nil {
		return nil, k.unread(err)
	}
	if k.context == "" {
		k.context = k.text.CurrentContext
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, k.unfit(err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, k.unfit(err)
	}
	return newClient(config, k.context, namespace)
}

// kubeconfig is what the user's files say together.
type kubeconfig struct {
	files   []string // some may not be there
	context string   // the chosen one, or empty
	text    api.Config
}

func (k *kubeconfig) String() string { return "kubeconfig " + strings.Join(k.files, ", ") }

// unread says which file is not there or does not parse.
func (k *kubeconfig) unread(err error) error {
	for _, file := range k.files {
		_, failed := clientcmd.LoadFromFile(file)
		switch {
		case failed == nil:
		case errors.Is(failed, fs.ErrNotExist):
			if len(k.files) == 1 {
				return told("there is no kubeconfig "+file+": name another with --kubeconfig", failed)
			}
		case errors.As(failed, new(*fs.PathError)):
			return told(fmt.Sprintf("the kubeconfig cannot be read: %v: look whose it is, or name another with --kubeconfig", failed), failed)
		default:
			// The file holds passwords, and a parser quotes what it stumbles over.
			return told(fmt.Sprintf("kubeconfig %s does not parse: %s: mend it, or name another with --kubeconfig", file, unquoted(failed.Error())), failed)
		}
	}
	return told(fmt.Sprintf("%v cannot be read: %s", k, unquoted(err.Error())), err)
}

// check says what of the chosen context is not there. A user who is not would be nobody
// for client-go.
func (k *kubeconfig) check() error {
	chosen := k.text.Contexts[k.context]
	switch {
	case k.context == "":
		return nil
	case chosen == nil && len(k.text.Contexts) == 0:
		return fmt.Errorf("there is no context %q: %v has none, or is not there: name another file with --kubeconfig", k.context, k)
	case chosen == nil:
		return fmt.Errorf("%v has no context %q: choose one that it has with --context: %s", k, k.context, k.contexts())
	case chosen.Cluster != "" && k.text.Clusters[chosen.Cluster] == nil:
		return fmt.Errorf("%v: context %q is of cluster %q, which it does not have: mend it, or choose another with --context", k, k.context, chosen.Cluster)
	case chosen.AuthInfo != "" && k.text.AuthInfos[chosen.AuthInfo] == nil:
		return fmt.Errorf("%v: context %q is of user %q, whom it does not have: mend it, or choose another with --context", k, k.context, chosen.AuthInfo)
	}
	return nil
}

// contexts lists those that there are.
func (k *kubeconfig) contexts() string {
	names := slices.Sorted(maps.Keys(k.text.Contexts))
	for i := range names {
		names[i] = strconv.Quote(names[i])
	}
	return few(names, 8)
}

// unfit says what a context lacks.
func (k *kubeconfig) unfit(err error) error {
	switch {
	case !clientcmd.IsEmptyConfig(err):
		return told(fmt.Sprintf("%v, context %q: %v: mend it, or choose another with --context", k, k.context, err), err)
	case k.context != "":
		return told(fmt.Sprintf("%v, context %q names no server: mend it, or choose another with --context", k, k.context), err)
	case len(k.text.Contexts) > 0:
		return told(fmt.Sprintf("%v has no current context: choose one with --context: %s", k, k.contexts()), err)
	}
	return told(fmt.Sprintf("no cluster is named (%v is not there, or empty): name a file with --kubeconfig, or set KUBECONFIG", k), err)
}

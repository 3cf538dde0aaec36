package openfaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// Options of New. Gateway is needed.
type Options struct {
	// Gateway is the URL of OpenFaaS' gateway.
	Gateway string
	// Namespace of the functions; empty: the gateway's own.
	Namespace string
	Login     Login
	// Image is what a bundle is deployed as: a reference in a registry that the
	// cluster reaches. nil: "bundle:" and its folder, for chiron gateway on this
	// machine.
	Image func(ctx context.Context, b bundle.Bundle) (string, error)
	// Peers is how wrap 1 reaches the others, "http://{function}.{namespace}:8080"
	// for instance; empty: through the gateway, as it is named here or, from inside
	// chiron gateway's own containers, as it is named there.
	Peers string
	// Secrets that every wrap gets, by their names on the gateway, and labels.
	Secrets []string
	Labels  map[string]string
	// StartTimeout bounds the time until a wrap is ready; 0: two minutes.
	StartTimeout time.Duration
	// Drain is how long the wraps of the plan before are kept for the requests that
	// old wrap 1s still work on; 0: 10 s, the agents' own grace period.
	Drain time.Duration
	// Progress, when set, is told each step.
	Progress func(what string)
}

// Target is an OpenFaaS. It implements deploy.Target.
type Target struct {
	options Options
	client  *Client
}

var _ deploy.Target = (*Target)(nil)

// New checks the options; nothing is asked yet.
func New(o Options) (*Target, error) {
	if err := o.checkPeers(); err != nil {
		return nil, err
	}
	c, err := NewClient(o.Gateway, o.Namespace, o.Login)
	if err != nil {
		return nil, err
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = 2 * time.Minute
	}
	if o.Drain <= 0 {
		o.Drain = 10 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return &Target{options: o, client: c}, nil
}

// Client of the target's gateway.
func (t *Target) Client() *Client { return t.client }

// Up implements deploy.Target.
func (t *Target) Up(ctx context.Context, d deploy.Deployment) (deploy.Running, error) {
	if err := deploy.CheckName(d.Name); err != nil {
		return nil, err
	}
	there, err := t.functions(ctx, d.Name)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 && statusOf(t.client.URL(), d.Name, there).State != deploy.Dead {
		return nil, fmt.Errorf("%w: %q at %s", deploy.ErrExists, d.Name, t.client.URL())
	}
	return t.Apply(ctx, d)
}

// Apply brings d up, in the place of what there is of its name. See the package's
// comment for what it does with another plan; where the plan, images and settings
// are the same, nothing is changed.
func (t *Target) Apply(ctx context.Context, d deploy.Deployment) (deploy.Running, error) {
	bundles, err := d.Check()
	if err != nil {
		return nil, err
	}
	images, inside, err := t.images(ctx, bundles)
	if err != nil {
		return nil, err
	}
	there, err := t.functions(ctx, d.Name)
	if err != nil {
		return nil, err
	}
	specs := t.specs(d, bundles, images, inside)
	c := &change{target: t, name: d.Name, planID: d.Plan.Digest(), before: make(map[string]openfaas.Status)}
	for _, f := range there {
		c.before[f.Name] = f
	}
	if err := c.run(ctx, specs); err != nil {
		// What is put back is not ctx's matter.
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.options.StartTimeout)
		defer cancel()
		return nil, errors.Join(err, c.undo(patient))
	}
	return newRunning(t, d.Name, specs, bundles), nil
}

// images are what the bundles are deployed as, and the gateway's URL as these see it.
func (t *Target) images(ctx context.Context, bundles []bundle.Bundle) (images []string, inside string, err error) {
	info, err := t.client.Info(ctx)
	if err != nil {
		return nil, "", err
	}
	ours := info.Provider != nil && info.Provider.Name == openfaas.ProviderName
	inside = t.client.URL()
	switch {
	case t.options.Image == nil && !ours:
		return nil, "", fmt.Errorf("gateway %s runs images and no bundles: push the wraps' images to a registry that it reaches (--registry)", inside)
	case t.options.Image != nil && ours:
		inside = "http://" + net.JoinHostPort(openfaas.GatewayHost, strconv.Itoa(openfaas.GatewayPort))
	}
	for _, b := range bundles {
		image := "bundle:" + b.Dir + "@" + b.Digest
		if t.options.Image != nil {
			if image, err = t.options.Image(ctx, b); err != nil {
				return nil, "", err
			}
		}
		images = append(images, image)
	}
	return images, inside, nil
}

// functions are those of one deployment, sorted by name.
func (t *Target) functions(ctx context.Context, deployment string) ([]openfaas.Status, error) {
	all, err := t.client.List(ctx)
	if err != nil {
		return nil, err
	}
	var ours []openfaas.Status
	for _, f := range all {
		if f.Labels[openfaas.LabelWorkflow] == deployment {
			ours = append(ours, f)
		} else if f.Name == deployment {
			return nil, fmt.Errorf("gateway %s has a function %q that is no deployment of ours: delete it, or name the project otherwise", t.client.URL(), deployment)
		}
	}
	slices.SortFunc(ours, func(a, b openfaas.Status) int { return strings.Compare(a.Name, b.Name) })
	return ours, nil
}

// List implements deploy.Target.
func (t *Target) List(ctx context.Context) ([]deploy.Status, error) {
	all, err := t.client.List(ctx)
	if err != nil {
		return nil, err
	}
	by := make(map[string][]openfaas.Status)
	for _, f := range all {
		if name := f.Labels[openfaas.LabelWorkflow]; name != "" {
			by[name] = append(by[name], f)
		}
	}
	list := []deploy.Status{}
	for name, functions := range by {
		list = append(list, statusOf(t.client.URL(), name, functions))
	}
	slices.SortFunc(list, func(a, b deploy.Status) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Status implements deploy.Target.
func (t *Target) Status(ctx context.Context, name string) (deploy.Status, error) {
	if err := deploy.CheckName(name); err != nil {
		return deploy.Status{}, err
	}
	there, err := t.functions(ctx, name)
	if err != nil {
		return deploy.Status{}, err
	}
	if len(there) == 0 {
		return deploy.Status{}, t.notFound(name)
	}
	return statusOf(t.client.URL(), name, there), nil
}

func (t *Target) notFound(name string) error {
	return fmt.Errorf("%w: %q at %s", deploy.ErrNotFound, name, t.client.URL())
}

// statusOf reads a deployment from its functions. Those of another plan than wrap
// 1's are on their way in or out, and are no part of it.
func statusOf(gateway, name string, functions []openfaas.Status) deploy.Status {
	s := deploy.Status{Name: name, Target: "openfaas", State: deploy.Dead, Gateway: gateway}
	var first *openfaas.Status
	for i := range functions {
		if functions[i].Name == name {
			first = &functions[i]
		}
	}
	if first == nil {
		s.Notes = append(s.Notes, "its first wrap is missing: a deployment was not finished; deploy again, or take it down")
		return s
	}
	s.Workflow, s.PlanID, s.Started = first.Annotations[openfaas.AnnotationProject], first.Annotations[openfaas.AnnotationPlan], first.CreatedAt
	wanted, _ := strconv.Atoi(first.Annotations[openfaas.AnnotationWraps]) // 0: not told, and not checked
	s.State = deploy.Up
	for _, f := range functions {
		if f.Annotations[openfaas.AnnotationPlan] != s.PlanID {
			s.Notes = append(s.Notes, fmt.Sprintf("function %s is of another plan: a deployment is under way, or was not finished", f.Name))
			continue
		}
		w := deploy.WrapStatus{
			Name: f.Labels[openfaas.LabelWrap], Instance: 1, State: deploy.WrapReady, Since: f.CreatedAt, Address: gateway + "/function/" + f.Name,
		}
		if held := f.Annotations[openfaas.AnnotationFunctions]; held != "" {
			w.Functions = strings.Split(held, ",")
		}
		if f.Usage != nil {
			w.Memory = f.Usage.TotalMemoryBytes
		}
		if f.AvailableReplicas == 0 {
			w.State = deploy.WrapStarting
			s.State = deploy.Degraded
		}
		s.Wraps = append(s.Wraps, w)
	}
	slices.SortFunc(s.Wraps, func(a, b deploy.WrapStatus) int { return strings.Compare(a.Name, b.Name) })
	if len(s.Wraps) < wanted {
		s.State = deploy.Degraded
		s.Notes = append(s.Notes, fmt.Sprintf("%d of its %d wraps are missing: deploy again", wanted-len(s.Wraps), wanted))
	}
	return s
}

// Down implements deploy.Target.
func (t *Target) Down(ctx context.Context, name string) error {
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
	// Wrap 1 goes first, and the others once it is gone: it may still call them.
	for _, first := range []bool{true, false} {
		for _, f := range there {
			if (f.Name == name) == first {
				if err := t.client.Delete(ctx, f.Name); err != nil {
					return fmt.Errorf("take down %q: %w", name, err)
				}
			}
		}
		if err := t.gone(ctx, name, first); err != nil {
			return fmt.Errorf("take down %q: %w", name, err)
		}
	}
	return nil
}

// gone waits until wrap 1, or every function, of a deployment is off the list.
func (t *Target) gone(ctx context.Context, name string, first bool) error {
	return deploy.Poll(ctx, pollEvery, func() (bool, error) {
		there, err := t.functions(ctx, name)
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(there, func(f openfaas.Status) bool { return !first || f.Name == name }), nil
	})
}

// pollEvery is how often something is asked that is waited for.
const pollEvery = 200 * time.Millisecond

// plan asks a wrap, through the gateway, for the plan that it runs; "": it does not
// answer.
func (t *Target) plan(ctx context.Context, function string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := t.client.request(ctx, http.MethodGet, "/function/"+t.qualified(function)+"/_/stats", nil, nil)
	if err != nil {
		return ""
	}
	req.Header.Del("Authorization") // functions are open, and the password is not theirs
	resp, err := t.client.http.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	var stats struct {
		PlanID string `json:"plan_id"`
		Ready  bool   `json:"ready"`
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&stats) != nil || !stats.Ready {
		return ""
	}
	return stats.PlanID
}

// qualified is a function's name in a path.
func (t *Target) qualified(function string) string {
	if t.options.Namespace != "" {
		return function + "." + t.options.Namespace
	}
	return function
}

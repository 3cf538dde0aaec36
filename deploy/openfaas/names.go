package openfaas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/internal/openfaas"
	"github.com/chiron-faas/chiron/plan"
)

// shortID is as much of a plan's id as stands in names and labels.
func shortID(id string) string { return id[:min(len(id), 10)] }

// functionName is that of a wrap: of wrap 1 the deployment's, of the others
// "flow-wrap-2-0123456789", so that those of two plans can be there at once. One
// that is too long is cut, and told from others by a digest.
func functionName(deployment, wrap string, first bool, id string) string {
	if first {
		return deployment
	}
	name := deployment + "-" + wrap + "-" + shortID(id)
	if len(name) <= dnslabel.Max {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:4]) + "-" + shortID(id)
	return strings.TrimRight(name[:dnslabel.Max-len(tail)], "-") + tail
}

// specs are what the plan's wraps are deployed as, in the plan's order. images are
// the wraps', inside is the gateway's URL as they see it.
func (t *Target) specs(d deploy.Deployment, bundles []bundle.Bundle, images []string, inside string) []openfaas.Deployment {
	id := d.Plan.Digest()
	all := make([]openfaas.Deployment, len(bundles))
	var peers []string
	for i := range bundles {
		w := &d.Plan.Wraps[i]
		name := functionName(d.Name, w.Name, i == 0, id)
		if i > 0 {
			peers = append(peers, w.Name+"="+t.peerURL(inside, name))
		}
		labels := map[string]string{openfaas.LabelWorkflow: d.Name, openfaas.LabelWrap: w.Name, openfaas.LabelPlan: shortID(id)}
		maps.Copy(labels, t.options.Labels)
		annotations := map[string]string{
			openfaas.AnnotationPlan: id, openfaas.AnnotationFunctions: strings.Join(bundles[i].Functions, ","),
			openfaas.AnnotationProject: d.Plan.Workflow, openfaas.AnnotationWraps: strconv.Itoa(len(bundles)),
		}
		limits := resources(w)
		all[i] = openfaas.Deployment{
			Service: name, Image: images[i], Namespace: t.options.Namespace, Secrets: t.options.Secrets,
			Labels: &labels, Annotations: &annotations, Limits: &limits, Requests: &limits, ReadOnlyRoot: true,
		}
	}
	if len(peers) > 0 {
		all[0].EnvVars = map[string]string{openfaas.PeersVariable: strings.Join(peers, ",")}
	}
	return all
}

// resources are a wrap's: what it may have is what it asks for, so that a cluster
// gives it whole CPUs.
func resources(w *plan.Wrap) openfaas.Resources {
	r := openfaas.Resources{CPU: strconv.Itoa(w.CPUs)}
	if w.Memory > 0 {
		r.Memory = strconv.FormatInt(w.Memory, 10)
	}
	return r
}

// peerURL is where wrap 1 finds another wrap: at the gateway, if nothing else is said.
func (t *Target) peerURL(gateway, function string) string {
	template := t.options.Peers
	if template == "" {
		template = gateway + "/function/{function}"
		if t.options.Namespace != "" {
			template += ".{namespace}"
		}
	}
	return strings.NewReplacer("{function}", function, "{namespace}", t.options.Namespace).Replace(template)
}

// checkPeers says what is wrong with the form of Options.Peers.
func (o *Options) checkPeers() error {
	if o.Peers != "" && (!strings.HasPrefix(o.Peers, "http://") || !strings.Contains(o.Peers, "{function}")) {
		return fmt.Errorf("peers %q: write a URL with {function} in it, such as http://{function}.openfaas-fn:8080", o.Peers)
	}
	return nil
}

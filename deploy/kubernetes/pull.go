package kubernetes

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unpulled says why an image cannot be pulled, and what to do.
func unpulled(p *corev1.Pod, words string) string {
	words = puller(words)
	text := fmt.Sprintf("its image %s cannot be pulled: %s", imageOf(p), words)
	var names []string
	for _, s := range p.Spec.ImagePullSecrets {
		names = append(names, s.Name)
	}
	lower := strings.ToLower(strings.ReplaceAll(words, imageOf(p), "")) // its name may say anything
	switch {
	case deniedPull.MatchString(lower) && len(names) == 0:
		text += ": the registry asks for a password: name a secret that has it with --pull-secret"
	case deniedPull.MatchString(lower):
		text += fmt.Sprintf(": the registry refuses the password of the pull secret %s: make it anew (kubectl create secret docker-registry)", strings.Join(names, ", "))
	case strings.Contains(lower, "not found"), strings.Contains(lower, "manifest unknown"):
		text += ": push it there, or look at --registry and --tag"
	}
	return text
}

// deniedPull is how registries and their clients say that somebody may not pull.
var deniedPull = regexp.MustCompile(`\b(401|403)\b|unauthori[sz]ed|authori[sz]ation failed|forbidden|denied|no basic auth`)

// puller takes off a kubelet's words what the message says already: that it pauses, and
// the image once or twice again.
func puller(words string) string {
	words = line(words)
	for _, before := range []string{"ErrImagePull: ", " desc = "} {
		if _, after, ok := strings.Cut(words, before); ok {
			words = after
		}
	}
	for _, before := range []string{`failed to pull and unpack image "`, `failed to resolve reference "`} {
		if rest, ok := strings.CutPrefix(words, before); ok {
			if _, after, ok := strings.Cut(rest, `": `); ok {
				words = after
			}
		}
	}
	return words
}

// reason is why a wrap does not start, in the end: a pull secret that is missing is told
// by an event alone, since the image might be pulled without.
func (t *Target) reason(ctx context.Context, h Hindrance) string {
	if h.unpulled == nil || len(h.unpulled.Spec.ImagePullSecrets) == 0 {
		return h.Message
	}
	ctx, cancel := context.WithTimeout(ctx, t.client.patience())
	defer cancel()
	found, err := t.client.of(events).List(ctx, metav1.ListOptions{
		FieldSelector: "reason=FailedToRetrieveImagePullSecret,involvedObject.name=" + h.unpulled.Name,
	})
	if err != nil || len(found.Items) == 0 {
		return h.Message // who may not read events is told what is known
	}
	var missing corev1.Event
	if err := typed(&found.Items[0], &missing); err != nil {
		return h.Message
	}
	return fmt.Sprintf("its image %s cannot be pulled, and a pull secret is missing in namespace %s: %s: make it with kubectl create secret docker-registry",
		imageOf(h.unpulled), t.client.namespace, strings.TrimRight(line(missing.Message), "."))
}

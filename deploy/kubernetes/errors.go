package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/deploy"
)

// toldError is an error in words of ours. What it is of stays behind it, for errors.Is
// and errors.As; its text is not repeated: it says the same, over several lines, or
// with a secret in it.
type toldError struct {
	text  string
	cause error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.cause }

// told makes the text one line without a secret.
func told(text string, cause error, secrets ...string) error {
	return &toldError{line(text, secrets...), cause}
}

// told knows the configuration's secrets.
func (c *Client) told(text string, cause error) error {
	return told(text, cause, c.config.BearerToken, c.config.Password)
}

// NoNamespaceError says that the namespace is not there, and so nothing in it is: it is
// deploy.ErrNotFound too.
type NoNamespaceError struct {
	Namespace string
	// Cluster as messages name it.
	Cluster string
	cause   error
}

func (e *NoNamespaceError) Error() string {
	return fmt.Sprintf("there is no namespace %q on %s: make it with kubectl create namespace %s, or choose another with --namespace", e.Namespace, e.Cluster, e.Namespace)
}

// Unwrap implements what errors.Is and errors.As ask for.
func (e *NoNamespaceError) Unwrap() []error { return []error{deploy.ErrNotFound, e.cause} }

// explain says what became of a request, which cluster it was made to, and what to do.
func (c *Client) explain(what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var status apierrors.APIStatus
	text := ""
	switch {
	case c.config.ExecProvider != nil && strings.Contains(err.Error(), pluginFailed):
		text = c.noLogin(err)
	case absentNamespace(err):
		return fmt.Errorf("%s: %w", what, &NoNamespaceError{c.namespace, c.cluster(), err})
	case errors.As(err, &status):
		text = c.refused(status.Status(), err)
	default:
		text = c.unreached(err)
	}
	return c.told(what+": "+text, err)
}

// absent says whether an object is not there. Something that is no Kubernetes says
// "not found" of everything.
func absent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.IsUnexpectedServerError(err)
}

// absentNamespace says whether an object could not be made for want of its namespace.
func absentNamespace(err error) bool {
	var status apierrors.APIStatus
	return absent(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// refused says what the API server, or what is in its place, answered.
func (c *Client) refused(s metav1.Status, err error) string {
	at, words := c.cluster(), s.Message
	if apierrors.IsUnexpectedServerError(err) {
		if s.Code != http.StatusUnauthorized {
			return c.foreign(int(s.Code), foreignWords(s))
		}
		words = "it answered 401"
	}
	switch {
	case s.Code == http.StatusUnauthorized:
		return fmt.Sprintf("%s refuses the credentials (%s): %s", at, words, c.loginHint())
	case apierrors.IsForbidden(err) && strings.Contains(words, "because it is being terminated"):
		return fmt.Sprintf("%s: namespace %s is being removed: wait, or choose another with --namespace", at, c.namespace)
	case apierrors.IsForbidden(err) && strings.Contains(words, "exceeded quota"):
		return fmt.Sprintf("%s refuses it: %s: ask for a larger quota, or take something down", at, words)
	case apierrors.IsForbidden(err) && strings.Contains(words, `"system:anonymous" cannot`):
		return fmt.Sprintf("%s does this for nobody without credentials (%s): %s", at, words, c.loginHint())
	case apierrors.IsForbidden(err) && strings.Contains(words, " cannot "):
		// These words name the user, the verb, the resource and the namespace.
		return fmt.Sprintf("a right is missing on %s: %s: ask for it (docs/kubernetes.md lists all that are needed), or choose another namespace", at, words)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsConflict(err), s.Code == http.StatusUnprocessableEntity:
		return fmt.Sprintf("%s refuses it: %s", at, words)
	case s.Code == http.StatusTooManyRequests, s.Code == http.StatusServiceUnavailable, s.Code == http.StatusGatewayTimeout:
		return fmt.Sprintf("%s is too busy, or starts: %s: try again", at, words)
	case s.Code >= http.StatusInternalServerError:
		return fmt.Sprintf("%s has failed: %s: try again; its own log says more", at, words)
	}
	return fmt.Sprintf("%s answered %d: %s", at, s.Code, words)
}

// foreign says that an answer is not as Kubernetes writes them.
func (c *Client) foreign(code int, words string) string {
	at := c.cluster()
	switch {
	case code/100 == 3:
		return fmt.Sprintf("%s wants to send us elsewhere (%d), which no API server does: is this the URL of one, and not of its web page?", at, code)
	case strings.Contains(words, "HTTP request to an HTTPS server"):
		return fmt.Sprintf("%s speaks TLS: write https:// in the kubeconfig's server", at)
	case code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return fmt.Sprintf("%s, or a proxy before it, forbids it (%d: %s): is this the URL of a Kubernetes API server?", at, code, words)
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("%s does not serve now; what is before it answered %d: %s: try again", at, code, words)
	}
	return fmt.Sprintf("%s is no Kubernetes API server, or one before 1.23 (it answered %d: %s): look at the server that the kubeconfig names", at, code, words)
}

// foreignWords are what something else than Kubernetes answered.
func foreignWords(s metav1.Status) string {
	text := ""
	if s.Details != nil {
		for _, cause := range s.Details.Causes {
			if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
				text = cause.Message
			}
		}
	}
	text = strings.TrimSpace(text)
	const most = 120
	switch {
	case text == "" || text == "unknown": // which is client-go's word
		return "nothing that it knows of"
	case strings.HasPrefix(text, "<"):
		return "a page of HTML"
	case len(text) > most:
		return text[:most] + "…"
	}
	return text
}

// secret is what looks like one: of headers that a server sends back, of tokens, of
// URLs.
var secret = regexp.MustCompile(`(?i)\b(bearer|basic)[ :]+[\w.~+/=-]{6,}|\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?|://[^/@\s"]*@`)

// line makes a text one line, in which no secret is.
func line(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	text = secret.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "://") {
			return "://…@"
		}
		return "…"
	})
	return strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD")
}

// few lists names, and says how many more there are.
func few(names []string, most int) string {
	more := ""
	if n := len(names) - most; n > 0 {
		names, more = names[:most], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ") + more
}

// quoted is a text in quotes.
var quoted = regexp.MustCompile("'[^']*'|\"[^\"]*\"|`[^`]*`")

// unquoted is a parser's message without what it quotes of its input.
func unquoted(text string) string {
	if strings.Contains(text, "couldn't get version/kind") { // the rest is of Go's types
		return "it is no object with an apiVersion and a kind"
	}
	return quoted.ReplaceAllString(text, "…")
}

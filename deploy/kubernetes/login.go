package kubernetes

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// pluginFailed is how client-go begins what it says of a login program (an exec
// credential plugin) that gives no credentials: plugin/pkg/client/auth/exec. There is
// no type to know it by.
const pluginFailed = "getting credentials: "

// noLogin says what a login program has failed of. What the program said itself is on
// standard error already. Its arguments may hold a secret.
func (c *Client) noLogin(err error) string {
	plugin := c.config.ExecProvider
	_, why, _ := strings.Cut(err.Error(), pluginFailed)
	who := fmt.Sprintf("the login program %q of %s", plugin.Command, c.cluster())
	switch {
	case strings.Contains(why, "not found"), strings.Contains(why, "no such file"):
		hint := "install it"
		if said := line(plugin.InstallHint); said != "" {
			hint += " (" + said + ")"
		}
		return fmt.Sprintf("%s is not there: %s, or choose another context with --context", who, hint)
	case strings.Contains(why, "failed with exit code"):
		_, code, _ := strings.Cut(why, "failed with ")
		return fmt.Sprintf("%s failed with %s: what it said is above: log in with it, and try again", who, code)
	case strings.HasPrefix(why, "decoding stdout"), strings.Contains(why, "plugin returned"), strings.Contains(why, "plugin didn't return"), strings.HasPrefix(why, "failed parsing"):
		// Its output is a secret, and a parser may quote it.
		return fmt.Sprintf("%s printed no credentials of the form %s: %s: look whether it is of the version that the kubeconfig asks for", who, plugin.APIVersion, unquoted(why))
	}
	return fmt.Sprintf("%s gave no credentials: %s", who, unquoted(why))
}

// unusable says why credentials or authorities of a configuration cannot be used.
func (c *Client) unusable(err error) error {
	if p := c.config.AuthProvider; p != nil {
		return c.told(fmt.Sprintf("the login of %s is an auth provider %q, which this program does not have: use a login program (exec) in the kubeconfig", c.cluster(), p.Name), err)
	}
	return c.told(fmt.Sprintf("the kubeconfig's certificates or credentials for %s cannot be used: %s: take the cluster's kubeconfig anew", c.cluster(), unquoted(err.Error())), err)
}

// loginHint says what to do where credentials are refused.
func (c *Client) loginHint() string {
	const others = "or choose another context with --context"
	if p := c.config.ExecProvider; p != nil {
		return fmt.Sprintf("the login program %q gave them: log in with it anew, %s", p.Command, others)
	}
	what, ended := expiry(c.config)
	switch {
	case what == "":
		return "the kubeconfig gives none: log in to it, " + others
	case !ended.IsZero() && time.Now().After(ended):
		return fmt.Sprintf("the %s expired on %s: log in to it again, %s", what, day(ended), others)
	}
	return fmt.Sprintf("look at the %s, or log in to it again, %s", what, others)
}

// day writes a moment so that nobody has to ask in which zone it is.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// expiry says what a configuration logs in with, and when that ends, where it says so.
func expiry(config *rest.Config) (what string, ended time.Time) {
	token := config.BearerToken
	if config.BearerTokenFile != "" { // which goes before
		if data, err := os.ReadFile(config.BearerTokenFile); err == nil {
			token = strings.TrimSpace(string(data))
		}
	}
	if token != "" {
		return "token", tokenEnd(token)
	}
	if config.Username != "" {
		return "password of user " + config.Username, time.Time{}
	}
	pair := config.CertData
	if len(pair) == 0 && config.CertFile != "" {
		pair, _ = os.ReadFile(config.CertFile) // client-go has read it, and said so where it could not
	}
	if block, _ := pem.Decode(pair); block != nil {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			return "client certificate of " + cert.Subject.CommonName, cert.NotAfter
		}
	}
	return "", time.Time{}
}

// tokenEnd reads when a token ends, where it is a JSON web token (RFC 7519, section
// 4.1.4).
func tokenEnd(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Ends float64 `json:"exp"` // seconds since 1970
	}
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.Ends <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Ends), 0)
}

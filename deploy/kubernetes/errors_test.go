package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes/clustertest"
)

// hush is the secret of every test: no message has it.
const hush = "hunter2-s3cr3t"

// token is a JSON web token that ends at a time.
func token(ends time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"ada","exp":%d}`, ends.Unix())) + "." + hush
}

// write writes a kubeconfig of one context, "one".
func write(t *testing.T, cluster api.Cluster, user api.AuthInfo) (file string) {
	t.Helper()
	config := api.NewConfig()
	config.Clusters["c"], config.AuthInfos["u"] = &cluster, &user
	config.Contexts["one"] = &api.Context{Cluster: "c", AuthInfo: "u", Namespace: "here"}
	config.CurrentContext = "one"
	file = filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// listed asks a cluster for its deployments.
func listed(t *testing.T, file string) error {
	t.Helper()
	c, err := NewClient(Access{Kubeconfig: file})
	if err != nil {
		return err
	}
	target, err := New(Options{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	_, err = target.List(t.Context())
	return err
}

// checkMessage checks a message: it has what is wanted, on one line, and no secret.
func checkMessage(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	t.Log(text)
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q\nhas no %q", text, w)
		}
	}
	if strings.Contains(text, "\n") || len(text) > 700 {
		t.Errorf("%q is more than a line", text)
	}
	if strings.Contains(text, hush) || strings.Contains(text, "eyJ") {
		t.Errorf("%q tells the secret", text)
	}
}

func status(code int32, reason metav1.StatusReason, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		clustertest.Answer(w, int(code), metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
		})
	}
}

func text(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// TestRefused: what a server says that does not do what it is asked for. All of these
// speak TLS, by an authority that the kubeconfig names.
func TestRefused(t *testing.T) {
	ca := newAuthority(t, "the cluster's")
	expired, key := ca.issue("ada", -2*time.Hour, -time.Hour)
	unauthorized := status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
	elsewhere := ca.serve(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("the credentials %q went elsewhere", req.Header.Get("Authorization"))
	}), "127.0.0.1", -time.Hour, time.Hour, nil)
	const page = "<!DOCTYPE html>\n<html><head>\n<title>Welcome</title></head>\n</html>\n"
	rbac := `services is forbidden: User "ada" cannot list resource "services" in API group "" in the namespace "here"`
	for name, c := range map[string]struct {
		user   api.AuthInfo
		answer http.HandlerFunc
		want   []string
	}{
		"wrong token":        {api.AuthInfo{Token: hush}, unauthorized, []string{"refuses the credentials (Unauthorized)", "look at the token", "--context"}},
		"old token":          {api.AuthInfo{Token: token(time.Unix(1700000000, 0))}, unauthorized, []string{"the token expired on 2023-11-14 22:13 UTC", "log in"}},
		"another's token":    {api.AuthInfo{Token: token(time.Now().Add(time.Hour))}, unauthorized, []string{"look at the token"}},
		"wrong password":     {api.AuthInfo{Username: "ada", Password: hush}, unauthorized, []string{"look at the password of user ada"}},
		"old certificate":    {api.AuthInfo{ClientCertificateData: expired, ClientKeyData: key}, unauthorized, []string{"the client certificate of ada expired on "}},
		"nothing":            {api.AuthInfo{}, unauthorized, []string{"the kubeconfig gives none"}},
		"a proxy's 401":      {api.AuthInfo{Token: hush}, text(401, "text/html", page), []string{"refuses the credentials (it answered 401)"}},
		"no rights":          {api.AuthInfo{Token: hush}, status(403, metav1.StatusReasonForbidden, rbac), []string{"a right is missing", rbac, "docs/kubernetes.md"}},
		"nobody":             {api.AuthInfo{}, status(403, metav1.StatusReasonForbidden, `services is forbidden: User "system:anonymous" cannot list`), []string{"nobody without credentials", "the kubeconfig gives none"}},
		"a proxy's 403":      {api.AuthInfo{Token: hush}, text(403, "text/html", page), []string{"or a proxy before it, forbids it (403: a page of HTML)"}},
		"fails":              {api.AuthInfo{Token: hush}, status(500, metav1.StatusReasonInternalError, "etcdserver: no leader"), []string{"has failed: etcdserver: no leader", "try again"}},
		"a page":             {api.AuthInfo{Token: hush}, text(200, "text/html; charset=utf-8", page), []string{"is no Kubernetes API server"}},
		"an unnamed page":    {api.AuthInfo{Token: hush}, text(200, "application/json", page), []string{"is no Kubernetes API server"}},
		"other JSON":         {api.AuthInfo{Token: hush}, text(200, "application/json", `{"token":"`+hush+`"}`), []string{"is no Kubernetes API server"}},
		"a page not found":   {api.AuthInfo{Token: hush}, text(404, "text/html", page), []string{"is no Kubernetes API server", "404: a page of HTML"}},
		"a text not found":   {api.AuthInfo{Token: hush}, text(404, "text/plain", "404 page not found\n"), []string{"is no Kubernetes API server, or one before 1.23", "404 page not found"}},
		"JSON not found":     {api.AuthInfo{Token: hush}, text(404, "application/json", `{"message":"Not Found"}`), []string{"is no Kubernetes API server", "it answered 404"}},
		"a gateway's fault":  {api.AuthInfo{Token: hush}, text(502, "text/html", page), []string{"does not serve now", "502: a page of HTML", "try again"}},
		"what was sent back": {api.AuthInfo{Token: hush}, func(w http.ResponseWriter, req *http.Request) { http.Error(w, fmt.Sprint(req.Header), 400) }, []string{"it answered 400"}},
		"elsewhere":          {api.AuthInfo{Token: hush}, http.RedirectHandler(elsewhere, http.StatusFound).ServeHTTP, []string{"send us elsewhere (302)"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := ca.serve(c.answer, "127.0.0.1", -time.Hour, time.Hour, nil)
			err := listed(t, write(t, api.Cluster{Server: server, CertificateAuthorityData: ca.pem()}, c.user))
			checkMessage(t, err, append(c.want, server+" (context one)", "list services: ")...)
		})
	}
}

// TestUntrusted: what fails before a request is read.
func TestUntrusted(t *testing.T) {
	ca, other := newAuthority(t, "the cluster's"), newAuthority(t, "somebody's")
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	good := ca.serve(never, "127.0.0.1", -time.Hour, time.Hour, nil)
	plain := says(t, "HTTP/1.0 400 Bad Request\r\n\r\n")
	_, plainPort, err := net.SplitHostPort(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server string
		want   []string
		as     any
	}{
		"another authority": {other.serve(never, "127.0.0.1", -time.Hour, time.Hour, nil), []string{"signed by no authority", `"CN=somebody's"`, "kubeconfig anew"}, new(x509.UnknownAuthorityError)},
		"expired":           {ca.serve(never, "127.0.0.1", -2*time.Hour, -time.Hour, nil), []string{" expired on ", "renewed", "clock"}, new(x509.CertificateInvalidError)},
		"not yet":           {ca.serve(never, "127.0.0.1", time.Hour, 2*time.Hour, nil), []string{" is valid only from ", "clock"}, new(x509.CertificateInvalidError)},
		"another host":      {ca.serve(never, "api.example.org", -time.Hour, time.Hour, nil), []string{`not for "127.0.0.1" but for api.example.org`, "tls-server-name"}, new(x509.HostnameError)},
		"asks for a certificate": {ca.serve(never, "127.0.0.1", -time.Hour, time.Hour, func(c *tls.Config) {
			c.ClientAuth = tls.RequireAnyClientCert
		}), []string{"refuses our side of TLS", "look at the token"}, nil},
		"plain HTTP":         {"https://127.0.0.1:" + plainPort, []string{"speaks plain HTTP"}, nil},
		"TLS, asked plainly": {strings.Replace(good, "https://", "http://", 1), []string{"speaks TLS: write https://"}, nil},
		"no TLS":             {"https://" + says(t, "SSH-2.0-OpenSSH_9.2\r\n"), []string{"does not speak TLS"}, new(tls.RecordHeaderError)},
		"no HTTP":            {"http://" + says(t, "SSH-2.0-OpenSSH_9.2\r\n"), []string{"is no Kubernetes API server"}, nil},
		"nobody":             {"https://127.0.0.1:1", []string{"cannot be reached", "connection refused", "--context"}, new(syscall.Errno)},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := api.Cluster{Server: c.server}
			if strings.HasPrefix(c.server, "https:") {
				cluster.CertificateAuthorityData = ca.pem()
			}
			err := listed(t, write(t, cluster, api.AuthInfo{Token: hush}))
			checkMessage(t, err, append(c.want, c.server+" (context one)", "list services: ")...)
			if c.as != nil && !errors.As(err, c.as) {
				t.Errorf("%v has no %T in it", err, c.as)
			}
		})
	}
	t.Run("proxy", func(t *testing.T) {
		err := listed(t, write(t, api.Cluster{Server: good, ProxyURL: "http://ada:" + hush + "@127.0.0.1:1", CertificateAuthorityData: ca.pem()}, api.AuthInfo{}))
		checkMessage(t, err, "the proxy before "+good+" (context one) cannot be reached", "proxy-url")
	})
}

// TestExplain: what cannot be had from this machine alone.
func TestExplain(t *testing.T) {
	c, err := ClientFor(&rest.Config{Host: "https://ada:" + hush + "@cluster.example.org/k8s", BearerToken: hush}, "here")
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		`there is no host "cluster.example.org"`: &net.DNSError{Name: "cluster.example.org", IsNotFound: true},
		"cannot be reached (lookup x: no answer": &net.DNSError{Name: "x", Err: "no answer"},
		"has not answered in time":               fmt.Errorf("get: %w", context.DeadlineExceeded),
		"exceeded quota: q":                      apierrors.NewForbidden(services.GroupResource(), "flow", errors.New("exceeded quota: q")),
		"a policy":                               apierrors.NewForbidden(services.GroupResource(), "flow", errors.New("a policy denies it")),
		"is being removed":                       apierrors.NewForbidden(services.GroupResource(), "flow", errors.New("unable to create new content in namespace here because it is being terminated")),
		"too busy":                               apierrors.NewTooManyRequestsError("later"),
		`"gone" not found`:                       apierrors.NewNotFound(pods.GroupResource(), "gone"),
		"Authorization: …":                       errors.New("odd\nAuthorization: Bearer another-" + strings.ToUpper(hush)),
		"closed the connection":                  &url.Error{Op: "Get", URL: "https://cluster.example.org/k8s/api", Err: io.EOF},
	} {
		told := c.explain("ask", err)
		checkMessage(t, told, want, "https://cluster.example.org/k8s", "ask: ")
		if !errors.Is(told, err) {
			t.Errorf("%v is not of %v", told, err)
		}
	}
	if err := c.explain("ask", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := c.explain("ask", nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

// TestLoginProgram: a login program that fails in each of its ways. The server would
// take any token.
func TestLoginProgram(t *testing.T) {
	ca := newAuthority(t, "the cluster's")
	server := ca.serve(status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized"), "127.0.0.1", -time.Hour, time.Hour, nil)
	credential := func(version, status string) string {
		return `echo '{"apiVersion":"client.authentication.k8s.io/` + version + `","kind":"ExecCredential","status":` + status + `}'`
	}
	for name, c := range map[string]struct {
		script string // empty: there is none
		want   []string
	}{
		"not there":      {"", []string{"is not there: install it (see https://example.org)"}},
		"fails":          {"exit 3", []string{"failed with exit code 3", "above", "log in"}},
		"a bare token":   {"echo " + hush, []string{"printed no credentials of the form client.authentication.k8s.io/v1"}},
		"a bare map":     {"echo '{\"token\":\"" + hush + "\"}'", []string{"printed no credentials of the form"}},
		"an alias":       {"echo 'token: *" + hush + "'", []string{"printed no credentials of the form"}},
		"of other form":  {"echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":\"" + hush + "\"}'", []string{"printed no credentials of the form"}},
		"of another age": {credential("v1beta1", `{"token":"`+hush+`"}`), []string{"printed no credentials of the form client.authentication.k8s.io/v1"}},
		"nothing in it":  {credential("v1", `{}`), []string{"printed no credentials of the form"}},
		"half a pair":    {credential("v1", `{"clientCertificateData":"`+hush+`"}`), []string{"printed no credentials of the form", "not both"}},
		"no pair":        {credential("v1", `{"clientCertificateData":"`+hush+`","clientKeyData":"`+hush+`"}`), []string{"printed no credentials of the form"}},
		"refused":        {credential("v1", `{"token":"`+hush+`"}`), []string{"refuses the credentials", "gave them: log in with it anew"}},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "login")
			if c.script != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			err := listed(t, write(t, api.Cluster{Server: server, CertificateAuthorityData: ca.pem()}, api.AuthInfo{Exec: &api.ExecConfig{
				APIVersion: "client.authentication.k8s.io/v1", Command: program, Args: []string{"--password", hush},
				Env: []api.ExecEnvVar{{Name: "PASSWORD", Value: hush}}, InteractiveMode: api.NeverExecInteractiveMode, InstallHint: "see\nhttps://example.org",
			}}))
			checkMessage(t, err, append(c.want, program, server+" (context one)")...)
		})
	}
}

// TestKubeconfig: files that name no cluster, or one that cannot be used.
func TestKubeconfig(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	ca := newAuthority(t, "the cluster's")
	gone := filepath.Join(t.TempDir(), "gone")
	file := func(text string) string {
		f := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	const contexts = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n" +
		"users: [{name: u, user: {token: " + hush + "}}]\ncontexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]\n"
	good, folder := file(contexts+"current-context: one\n"), t.TempDir()
	for name, c := range map[string]struct {
		access Access
		want   []string
	}{
		"no file":          {Access{Kubeconfig: gone}, []string{"there is no kubeconfig " + gone, "--kubeconfig"}},
		"a folder":         {Access{Kubeconfig: folder}, []string{"cannot be read", folder, "is a directory"}},
		"no YAML":          {Access{Kubeconfig: file("users: [{name: u, user: {token: " + hush)}, []string{"does not parse", "line 1", "mend it"}},
		"an alias":         {Access{Kubeconfig: file("users:\n- name: u\n  user:\n    token: *" + hush)}, []string{"does not parse", "mend it"}},
		"another type":     {Access{Kubeconfig: file("users: [{name: u, user: " + hush + "}]")}, []string{"does not parse", "mend it"}},
		"a page":           {Access{Kubeconfig: file("<html>\n<p>" + hush + "\n</html>")}, []string{"does not parse", "mend it"}},
		"another context":  {Access{Kubeconfig: good, Context: "three"}, []string{`kubeconfig ` + good + ` has no context "three"`, `--context: "one", "two"`}},
		"none":             {Access{Kubeconfig: file(contexts + "current-context: gone\n")}, []string{`has no context "gone"`, `"one", "two"`}},
		"no current":       {Access{Kubeconfig: file(contexts)}, []string{"has no current context", `--context: "one", "two"`}},
		"empty":            {Access{Kubeconfig: file("")}, []string{"no cluster is named", "--kubeconfig"}},
		"empty, a context": {Access{Kubeconfig: file(""), Context: "one"}, []string{`there is no context "one"`}},
		"no user":          {Access{Kubeconfig: file(strings.Replace(contexts, "user: u}}, {name: two", "user: x}}, {name: two", 1) + "current-context: one")}, []string{`context "one" is of user "x", whom it does not have`}},
		"no cluster":       {Access{Kubeconfig: file(strings.Replace(contexts, "cluster: c, user: u}}, {name: two", "cluster: x, user: u}}, {name: two", 1) + "current-context: one")}, []string{`context "one" is of cluster "x", which it does not have`}},
		"neither":          {Access{Kubeconfig: file("contexts: [{name: one, context: {namespace: here}}]\ncurrent-context: one")}, []string{`context "one" names no server`}},
		"no server":        {Access{Kubeconfig: file(strings.Replace(contexts, "server: 'https://127.0.0.1:1'", "", 1) + "current-context: one")}, []string{`context "one"`, "no server"}},
		"no URL":           {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:port"}, api.AuthInfo{})}, []string{`the server "https://127.0.0.1:port" of context "one" is no URL`}},
		"no authority":     {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:1", CertificateAuthority: gone}, api.AuthInfo{})}, []string{`context "one"`, gone}},
		"odd authority":    {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:1", CertificateAuthorityData: []byte(hush)}, api.AuthInfo{})}, []string{"cannot be used", "https://127.0.0.1:1 (context one)"}},
		"odd pair":         {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:1"}, api.AuthInfo{ClientCertificateData: ca.pem(), ClientKeyData: []byte(hush)})}, []string{"cannot be used"}},
		"no certificate":   {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:1"}, api.AuthInfo{ClientCertificate: gone, ClientKey: gone})}, []string{`context "one"`, gone}},
		"an auth provider": {Access{Kubeconfig: write(t, api.Cluster{Server: "https://127.0.0.1:1"}, api.AuthInfo{AuthProvider: &api.AuthProviderConfig{Name: "oidc", Config: map[string]string{"client-secret": hush}}})}, []string{`auth provider "oidc"`, "exec"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewClient(c.access)
			checkMessage(t, err, c.want...)
		})
	}
	if _, err := NewClient(Access{Kubeconfig: gone}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not of a file that is not there", err)
	}
	t.Setenv("KUBECONFIG", gone+string(filepath.ListSeparator)+good)
	if _, err := NewClient(Access{}); err != nil {
		t.Errorf("one of two files is there: %v", err)
	}
	t.Setenv("KUBECONFIG", gone)
	_, err := NewClient(Access{})
	checkMessage(t, err, gone, "not there", "--kubeconfig")
}

// TestNoNamespace: all verbs say so where the namespace is not there, by one more
// request; who may not ask for it is told what was told before.
func TestNoNamespace(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	asked := 0
	missing := func(answer *metav1.Status) {
		f.Do(func() {
			f.Refuse = func(req *http.Request) *metav1.Status {
				if req.URL.Path != "/api/v1/namespaces/here" {
					return nil
				}
				asked++
				return answer
			}
		})
	}
	verbs := map[string]func() error{
		"list":   func() error { _, err := target.List(t.Context()); return err },
		"status": func() error { _, err := target.Status(t.Context(), "flow"); return err },
		"logs":   func() error { return target.Logs(t.Context(), "flow", deploy.LogOptions{}, nil) },
		"invoke": func() error { _, err := target.Invoke(t.Context(), "flow"); return err },
		"down":   func() error { return target.Down(t.Context(), "flow") },
	}
	missing(clustertest.NotFound("namespaces", "here"))
	for verb, do := range verbs {
		asked = 0
		err := do()
		var none *NoNamespaceError
		if !errors.As(err, &none) || none.Namespace != "here" || !errors.Is(err, deploy.ErrNotFound) || asked != 1 {
			t.Errorf("%s: %v, asked %d times", verb, err, asked)
			continue
		}
		checkMessage(t, err, `there is no namespace "here" on `+f.URL, "kubectl create namespace here", "--namespace")
	}
	missing(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: `namespaces "here" is forbidden: User "ada" cannot get resource "namespaces"`,
	})
	for verb, do := range verbs {
		err := do()
		if verb == "list" && err == nil {
			continue
		}
		if !errors.Is(err, deploy.ErrNotFound) || errors.As(err, new(*NoNamespaceError)) {
			t.Errorf("%s, and namespaces are not to be read: %v", verb, err)
		}
	}
	missing(nil)
	if err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(0))); err != nil {
		t.Fatal(err)
	}
	asked = 0
	for _, verb := range []string{"list", "status", "logs"} {
		if err := verbs[verb](); err != nil || asked != 0 {
			t.Errorf("%s: %v, asked %d times for a namespace that has something", verb, err, asked)
		}
	}
}

package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// maxRequest is the largest body of a request here, bytes.
const maxRequest = 1 << 20

func (p *Provider) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /system/functions":              p.list,
		"POST /system/functions":             p.deployFunction,
		"PUT /system/functions":              p.updateFunction,
		"DELETE /system/functions":           p.deleteFunction,
		"GET /system/function/{name}":        p.describe,
		"POST /system/scale-function/{name}": p.scaleFunction,
		"GET /system/info":                   p.info,
		"GET /system/namespaces":             p.namespaces,
		"GET /system/namespace/{name}":       p.namespace,
		"GET /system/secrets":                p.listSecrets,
		"POST /system/secrets":               p.createSecret,
		"PUT /system/secrets":                p.updateSecret,
		"DELETE /system/secrets":             p.deleteSecret,
		"GET /system/logs":                   p.logs,
	} {
		mux.HandleFunc(pattern, h)
	}
	return mux
}

// refuse answers in OpenFaaS' form: a line of text.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	http.Error(w, fmt.Sprintf(format, args...), status)
}

// read decodes a request's body, or answers.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		refuse(w, http.StatusBadRequest, "the request's body could not be read, or is over %d bytes", maxRequest)
		return false
	}
	if err := json.Unmarshal(data, v); err != nil {
		refuse(w, http.StatusBadRequest, "the request's body is not the JSON that is expected: %v", err)
		return false
	}
	return true
}

// inNamespace checks what a request says of a namespace, in its query or body, or
// answers: there is one.
func (p *Provider) inNamespace(w http.ResponseWriter, r *http.Request, inBody string) bool {
	for _, name := range []string{r.URL.Query().Get("namespace"), inBody} {
		if name != "" && name != p.options.Namespace {
			refuse(w, http.StatusBadRequest, "there is no namespace %q here: functions are in %q", name, p.options.Namespace)
			return false
		}
	}
	return true
}

// nameOf is a function's name as it stands in a path, with the namespace or
// without; false: it has another one.
func (p *Provider) nameOf(path string) (string, bool) {
	name, space, spaced := strings.Cut(path, ".")
	return name, !spaced || space == p.options.Namespace
}

func (p *Provider) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.log.Debug("an answer was not written", "error", err.Error())
	}
}

func (p *Provider) list(w http.ResponseWriter, r *http.Request) {
	if !p.inNamespace(w, r, "") {
		return
	}
	list := []openfaas.Status{}
	for _, f := range p.all() {
		list = append(list, p.status(r.Context(), f, false))
	}
	p.writeJSON(w, list)
}

func (p *Provider) describe(w http.ResponseWriter, r *http.Request) {
	if !p.inNamespace(w, r, "") {
		return
	}
	name, here := p.nameOf(r.PathValue("name"))
	f := p.find(name)
	if f == nil || !here {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	p.writeJSON(w, p.status(r.Context(), f, r.URL.Query().Get("usage") == "1"))
}

// specification reads what a function is to be, or answers.
func (p *Provider) specification(w http.ResponseWriter, r *http.Request) (d openfaas.Deployment, ok bool) {
	if !read(w, r, &d) || !p.inNamespace(w, r, d.Namespace) {
		return d, false
	}
	d.Namespace = p.options.Namespace
	switch {
	case !dnslabel.Valid(d.Service):
		refuse(w, http.StatusBadRequest, "service %q is no name: use a-z, 0-9 and '-', at most 63 characters", d.Service)
	case d.Image == "":
		refuse(w, http.StatusBadRequest, "function %q: image is empty", d.Service)
	default:
		for _, name := range d.Secrets {
			if _, err := p.secrets.value(name); !isSecretName(name) || err != nil {
				refuse(w, http.StatusBadRequest, "function %q: secret %q is not there: create it first", d.Service, name)
				return d, false
			}
		}
		return d, true
	}
	return d, false
}

func (p *Provider) deployFunction(w http.ResponseWriter, r *http.Request) {
	if d, ok := p.specification(w, r); ok {
		p.answer(w, d.Service, p.deploy(r.Context(), d))
	}
}

func (p *Provider) updateFunction(w http.ResponseWriter, r *http.Request) {
	if d, ok := p.specification(w, r); ok {
		p.answer(w, d.Service, p.update(r.Context(), d))
	}
}

func (p *Provider) deleteFunction(w http.ResponseWriter, r *http.Request) {
	var body struct{ FunctionName, Namespace string }
	if !read(w, r, &body) || !p.inNamespace(w, r, body.Namespace) {
		return
	}
	if body.FunctionName == "" {
		refuse(w, http.StatusBadRequest, "functionName is empty")
		return
	}
	p.answer(w, body.FunctionName, p.remove(body.FunctionName))
}

// answer tells what became of a change.
func (p *Provider) answer(w http.ResponseWriter, name string, err error) {
	var bad errBadImage
	var start *deploy.StartError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.Is(err, errNotFound):
		refuse(w, http.StatusNotFound, "function %q %v", name, err)
	case errors.Is(err, errExists), errors.As(err, &bad):
		refuse(w, http.StatusBadRequest, "function %q: %v", name, err)
	case errors.As(err, &start):
		refuse(w, http.StatusInternalServerError, "function %q: %v", name, start)
	case errors.Is(err, fleet.ErrClosed):
		refuse(w, http.StatusServiceUnavailable, "the gateway is going down")
	default:
		p.log.Error("a function was not changed", "function", name, "error", err.Error())
		refuse(w, http.StatusInternalServerError, "function %q: %v", name, err)
	}
}

func (p *Provider) scaleFunction(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ServiceName, Namespace string
		Replicas               *int
	}
	if !read(w, r, &body) || !p.inNamespace(w, r, body.Namespace) {
		return
	}
	if body.Replicas == nil || *body.Replicas < 0 {
		refuse(w, http.StatusBadRequest, "replicas must be a number, 0 or more")
		return
	}
	name, here := p.nameOf(r.PathValue("name"))
	f := p.find(name)
	if f == nil || !here {
		refuse(w, http.StatusNotFound, "function %q %v", name, errNotFound)
		return
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	v := f.version()
	if v == nil {
		refuse(w, http.StatusNotFound, "function %q has no version that runs: deploy it again", name)
		return
	}
	v.fleet.Resize(v.scale.clamp(*body.Replicas), v.scale.most)
	w.WriteHeader(http.StatusAccepted)
}

func (p *Provider) info(w http.ResponseWriter, _ *http.Request) {
	v := &openfaas.Version{Release: p.options.Version, SHA: p.options.Commit}
	p.writeJSON(w, openfaas.Info{
		Provider: &openfaas.Provider{Name: openfaas.ProviderName, Orchestration: "chiron", Version: v}, Version: v, Arch: runtime.GOARCH,
	})
}

func (p *Provider) namespaces(w http.ResponseWriter, _ *http.Request) {
	p.writeJSON(w, []string{p.options.Namespace})
}

func (p *Provider) namespace(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("name") != p.options.Namespace {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	p.writeJSON(w, map[string]any{"name": p.options.Namespace, "labels": map[string]string{"openfaas": "1"}})
}

// isSecretName accepts Kubernetes' names of secrets: they are files' names too.
func isSecretName(s string) bool {
	return len(s) <= 253 && secretNames.MatchString(s)
}

// A name begins with a letter or digit, so it is no hidden file and no "..".
var secretNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

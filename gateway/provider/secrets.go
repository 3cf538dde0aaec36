package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// secret is OpenFaaS' Secret. It is decoded only: a value never goes out.
type secret struct {
	Name, Namespace, Value string
	RawValue               []byte
}

// secretName is what is told of a secret.
type secretName struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (p *Provider) listSecrets(w http.ResponseWriter, r *http.Request) {
	if !p.inNamespace(w, r, "") {
		return
	}
	names, err := p.secrets.names()
	if err != nil {
		p.answerSecret(w, "", http.StatusOK, err)
		return
	}
	list := []secretName{}
	for _, name := range names {
		list = append(list, secretName{name, p.options.Namespace})
	}
	p.writeJSON(w, list)
}

// readSecret reads a secret from a request, or answers.
func (p *Provider) readSecret(w http.ResponseWriter, r *http.Request) (s secret, ok bool) {
	if !read(w, r, &s) || !p.inNamespace(w, r, s.Namespace) {
		return s, false
	}
	if !isSecretName(s.Name) {
		refuse(w, http.StatusBadRequest, "secret %q is no name: use a-z, 0-9, '-' and '.'", s.Name)
		return s, false
	}
	return s, true
}

func (p *Provider) createSecret(w http.ResponseWriter, r *http.Request) {
	if s, ok := p.readSecret(w, r); ok {
		p.answerSecret(w, s.Name, http.StatusCreated, p.secrets.put(s.Name, s.bytes(), true))
	}
}

func (p *Provider) updateSecret(w http.ResponseWriter, r *http.Request) {
	s, ok := p.readSecret(w, r)
	if !ok {
		return
	}
	err := p.secrets.put(s.Name, s.bytes(), false)
	if err == nil {
		err = p.renewSecret(s.Name, s.bytes())
	}
	p.answerSecret(w, s.Name, http.StatusAccepted, err)
}

// deleteSecret takes a secret away. Functions that have it keep it until they are
// deployed anew, as containers do.
func (p *Provider) deleteSecret(w http.ResponseWriter, r *http.Request) {
	if s, ok := p.readSecret(w, r); ok {
		// 202 and not 204, which OpenFaaS' client takes for a failure.
		p.answerSecret(w, s.Name, http.StatusAccepted, p.secrets.remove(s.Name))
	}
}

func (p *Provider) answerSecret(w http.ResponseWriter, name string, done int, err error) {
	switch {
	case err == nil:
		w.WriteHeader(done)
	case errors.Is(err, errSecretExists):
		refuse(w, http.StatusConflict, "secret %q exists already: update it (PUT)", name)
	case errors.Is(err, errNoSecret):
		refuse(w, http.StatusNotFound, "secret %q is not there", name)
	default:
		p.log.Error("a secret was not kept", "secret", name, "error", err.Error()) // of files, never of values
		refuse(w, http.StatusInternalServerError, "secret %q could not be read or written", name)
	}
}

// secretsOf is the folder of a version's secrets.
func (p *Provider) secretsOf(name string, generation int) string {
	return filepath.Join(p.options.Dir, "functions", name, "secrets-"+strconv.Itoa(generation%2))
}

// mountSecrets gives a version its secrets, a file each.
func (p *Provider) mountSecrets(v *version, names []string) error {
	dir := v.secrets
	if err := os.RemoveAll(dir); err != nil { // of a gateway that was killed
		return fmt.Errorf("secrets: %w", err)
	}
	if len(names) == 0 {
		return nil
	}
	folder := fs.FileMode(0o700)
	if v.readable != private {
		folder = 0o755
	}
	if err := os.MkdirAll(dir, folder); err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	for _, name := range names {
		value, err := p.secrets.value(name)
		if err == nil {
			err = writeSecret(filepath.Join(dir, name), value, v.readable)
		}
		if err != nil {
			return fmt.Errorf("secret %q: %w", name, err)
		}
	}
	return nil
}

// renewSecret gives a secret's new value to the functions that have it.
func (p *Provider) renewSecret(name string, value []byte) error {
	var failures []error
	for _, f := range p.all() {
		f.changing.Lock()
		if v := f.version(); v != nil && slices.Contains(f.specification().Secrets, name) {
			failures = append(failures, writeSecret(filepath.Join(v.secrets, name), value, v.readable))
		}
		f.changing.Unlock()
	}
	return errors.Join(failures...)
}

package openfaas

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Login is a user and a password of a gateway; zero: none.
type Login struct{ User, Password string }

// String keeps the password out of messages.
func (l Login) String() string { return l.User }

// loginFile is the file of OpenFaaS' own client, with what it has besides.
type loginFile struct {
	Auths []loginEntry   `yaml:"auths"`
	Rest  map[string]any `yaml:",inline"`
}

type loginEntry struct {
	Gateway string         `yaml:"gateway"`
	Auth    string         `yaml:"auth"`
	Token   string         `yaml:"token"`
	Rest    map[string]any `yaml:",inline"`
}

// LoginPath is the file that OpenFaaS' client keeps logins in: config.yml in the
// folder that OPENFAAS_CONFIG names, else in ~/.openfaas.
func LoginPath(env func(string) string) (string, error) {
	dir := env("OPENFAAS_CONFIG")
	if dir == "" {
		home := env("HOME")
		if home == "" {
			return "", errors.New("no folder for logins: HOME is not set")
		}
		dir = filepath.Join(home, ".openfaas")
	}
	return filepath.Join(dir, "config.yml"), nil
}

// ReadLogin finds the login of a gateway in a file; none, and no file, is the zero
// Login.
func ReadLogin(file, gateway string) (Login, error) {
	f, err := readLogins(file)
	if err != nil {
		return Login{}, err
	}
	for _, e := range f.Auths {
		if sameGateway(e.Gateway, gateway) && (e.Auth == "basic" || e.Auth == "") {
			data, err := base64.StdEncoding.DecodeString(e.Token)
			user, password, ok := strings.Cut(string(data), ":")
			if err != nil || !ok {
				return Login{}, fmt.Errorf("%s: the token of gateway %s is none: log in again", file, gateway)
			}
			return Login{user, password}, nil
		}
	}
	return Login{}, nil
}

// WriteLogin keeps a login for a gateway, beside what else is in the file. Only its
// owner can read it then.
func WriteLogin(file, gateway string, l Login) error {
	f, err := readLogins(file)
	if err != nil {
		return err
	}
	entry := loginEntry{Gateway: strings.TrimRight(gateway, "/"), Auth: "basic", Token: base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password))}
	known := false
	for i := range f.Auths {
		if sameGateway(f.Auths[i].Gateway, gateway) {
			entry.Rest = f.Auths[i].Rest
			f.Auths[i], known = entry, true
		}
	}
	if !known {
		f.Auths = append(f.Auths, entry)
	}
	data, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	made, err := os.CreateTemp(filepath.Dir(file), ".config-*") // 0600
	if err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	_, err = made.Write(data)
	if err = errors.Join(err, made.Close()); err == nil {
		err = os.Rename(made.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("keep the login: %w", errors.Join(err, os.Remove(made.Name())))
	}
	return nil
}

func readLogins(file string) (f loginFile, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = yaml.Unmarshal(data, &f)
	}
	if err != nil {
		// The parser may quote what it read.
		return f, fmt.Errorf("%s cannot be read, or is not the file of OpenFaaS' client: move it away and log in again", file)
	}
	return f, nil
}

func sameGateway(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

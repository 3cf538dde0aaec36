package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// The files of a user and a password, in the folder that secrets are mounted in.
const (
	UserFile     = "basic-auth-user"
	PasswordFile = "basic-auth-password"
)

// Basic is a user and a password. It never prints them.
type Basic struct {
	user, password [sha256.Size]byte
}

// Read reads both from the files in a folder; line ends after them are not theirs.
func Read(dir string) (*Basic, error) {
	user, err := readWord(filepath.Join(dir, UserFile))
	if err != nil {
		return nil, err
	}
	password, err := readWord(filepath.Join(dir, PasswordFile))
	if err != nil {
		return nil, err
	}
	return New(user, password), nil
}

func readWord(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("basic authentication: there is no file %s: write it, or turn authentication off", file)
	}
	if err != nil {
		return "", fmt.Errorf("basic authentication: %w", err)
	}
	word := strings.TrimRight(string(data), "\r\n")
	if word == "" {
		return "", fmt.Errorf("basic authentication: %s is empty", file)
	}
	return word, nil
}

// New takes a user and a password.
func New(user, password string) *Basic {
	return &Basic{sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))}
}

// Allows says whether a request has the user and the password. Digests are
// compared, so that the time tells neither how much is right nor a length.
func (b *Basic) Allows(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	right := subtle.ConstantTimeCompare(u[:], b.user[:]) & subtle.ConstantTimeCompare(p[:], b.password[:])
	return ok && right == 1
}

// Handler answers 401 to who does not have them, in the form that OpenFaaS' client
// knows. A nil Basic asks nobody.
func (b *Basic) Handler(next http.Handler) http.Handler {
	if b == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.Allows(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBasic(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{UserFile: "admin\n", PasswordFile: "s3cret word\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	for _, c := range []struct {
		user, password string
		given          bool
		want           int
	}{
		{"admin", "s3cret word", true, 202},
		{"admin", "s3cret", true, 401},
		{"admin", "s3cret word ", true, 401},
		{"Admin", "s3cret word", true, 401},
		{"", "", true, 401},
		{"", "", false, 401},
	} {
		r := httptest.NewRequest("GET", "/system/functions", nil)
		if c.given {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%q %q: %d, want %d", c.user, c.password, w.Code, c.want)
		}
		if w.Code == 401 && (strings.TrimSpace(w.Body.String()) != "invalid credentials" || w.Header().Get("WWW-Authenticate") != `Basic realm="Restricted"`) {
			t.Errorf("%q %v", w.Body, w.Header())
		}
	}
	if text := fmt.Sprintf("%v %+v %s", b, b, b); strings.Contains(text, "admin") || strings.Contains(text, "s3cret") {
		t.Errorf("it prints %s", text)
	}
	var none *Basic
	w := httptest.NewRecorder()
	none.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 404 {
		t.Errorf("without a password: %d", w.Code)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), UserFile) {
		t.Errorf("no files: %v", err)
	}
	for name, text := range map[string]string{UserFile: "admin", PasswordFile: "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty password: %v", err)
	}
}

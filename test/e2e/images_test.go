package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

// TestImageOnGateway: an image of a registry is a function of chiron gateway; it ends
// with a gateway that is killed, and is back with the next one.
func TestImageOnGateway(t *testing.T) {
	ocitest.Runc(t)
	u := newUser(t)
	auth := filepath.Join(u.dir, "auth")
	if err := os.MkdirAll(auth, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"basic-auth-user": "admin", "basic-auth-password": "s3cret"} {
		if err := os.WriteFile(filepath.Join(auth, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "watchdog")
	if err := ocitest.Build(file, "../../gateway/container/testdata/watchdog"); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	image := ocitest.Put(t, ocitest.Registry(t, nil), "team/f:1", ocitest.Image(t, "",
		v1.Config{Entrypoint: []string{"/watchdog"}, Env: []string{"WORD=hello"}},
		ocitest.Layer(t, ocitest.Entry{Name: "watchdog", Text: string(program), Mode: 0o755})))
	state := filepath.Join(u.dir, "s")
	c, url := u.gateway(state, "")
	ask := func(method, path string, body any) (int, string) {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", "s3cret")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	want := func(method, path string, body any, status int, part string) {
		t.Helper()
		if got, text := ask(method, path, body); got != status || !strings.Contains(text, part) {
			t.Fatalf("%s %s: %d %q, want %d with %q", method, path, got, text, status, part)
		}
	}
	status, text := ask("POST", "/system/functions", map[string]any{"service": "f", "image": image})
	if status == http.StatusBadRequest && strings.Contains(text, "bundles") {
		t.Skip(text)
	}
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, text)
	}
	want("POST", "/function/f/a", "x", 200, "hello /a")
	want("POST", "/async-function/f", "x", 202, "")
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	eventually(t, 30*time.Second, func() error {
		if left := u.processes(); len(left) > 0 { // runc, and the containers' leashes
			return fmt.Errorf("left running: %v", left)
		}
		return nil
	})
	u.gateway(state, strings.TrimPrefix(url, "http://"))
	want("POST", "/function/f/b", "x", 200, "hello /b")
	want("DELETE", "/system/functions", map[string]string{"functionName": "f"}, 202, "")
	want("POST", "/function/f/b", "x", 404, "")
	for _, sub := range []string{"images/images", "images/layers", "images/run", "images/runc", "functions"} {
		if entries, err := os.ReadDir(filepath.Join(state, sub)); err == nil && len(entries) > 0 {
			t.Errorf("left in %s: %v", sub, entries)
		}
	}
}

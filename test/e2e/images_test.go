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
	"github.com/chiron-faas/chiron/internal/agentfile"
	"github.com/chiron-faas/chiron/internal/programtest"
)

// TestImageOnGateway: an image of a registry is a function of chiron gateway; it ends
// with a gateway that is killed, and is back with the next one.
func TestImageOnGateway(t *testing.T) {
	ocitest.Runc(t)
	t.Parallel()
	u := newUser(t)
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
		r.SetBasicAuth(gatewayUser, gatewayPassword)
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

// TestDeployImages: with a registry the wraps of a project are deployed as images,
// which a gateway elsewhere could pull.
func TestDeployImages(t *testing.T) {
	ocitest.Runc(t)
	t.Parallel()
	u := newUser(t)
	u.env = []string{
		agentfile.Variable + "=" + programtest.BuildAgent(t), // the race detector's needs a C library
		"HOME=" + filepath.Join(u.dir, "home"),
	}
	python, err := ocitest.Python(t.Context(), t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	host := ocitest.Registry(t, nil)
	base := ocitest.Put(t, host, "team/python:base", python)
	_, url := u.gateway(filepath.Join(u.dir, "s"), "")
	if s := u.chironIn(gatewayPassword+"\n", "login", "--gateway", url, "--password-stdin"); s.code != 0 {
		t.Fatalf("%+v", s)
	}
	dir := write(t, map[string]string{
		"chiron.yaml": "name: twice\ndefinition: w.asl.json\nfunctions:\n  f: {handler: f.py}\ninput: input.json\n",
		"input.json":  `1`,
		"w.asl.json":  `{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "f", "Next": "b"}, "b": {"Type": "Task", "Resource": "f", "End": true}}}`,
		"f.py":        "def handler(event, context):\n    return 2 * event\n",
	})
	s := u.chiron("deploy", dir, "--gateway", url, "--registry", host+"/team", "--base", base, "--model", "one-to-one",
		"--runs", "10", "--tracer", "portable", "--calibration", calibration())
	if s.code != 0 && strings.Contains(s.errors, "bundles") {
		t.Skip(s.errors) // containers are not permitted here
	}
	if s.code != 0 {
		t.Fatalf("%+v", s)
	}
	if out := u.good("invoke", "twice", "--gateway", url, "-d", `5`); strings.TrimSpace(out) != "20" {
		t.Errorf("answer %q", out)
	}
	for _, wrap := range []string{"wrap-1", "wrap-2"} {
		resp, err := http.Head("http://" + host + "/v2/team/twice-" + wrap + "/manifests/latest")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the registry answers %s for %s", resp.Status, wrap)
		}
	}
	u.good("down", "twice", "--gateway", url)
}

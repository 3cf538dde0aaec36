package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The user and the password of a gateway.
const (
	gatewayUser     = "admin"
	gatewayPassword = "s3cret"
)

// gateway starts "chiron gateway" on an address, "" for a free port.
func (u *user) gateway(state, listen string) (*exec.Cmd, string) {
	u.t.Helper()
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	auth := filepath.Join(u.dir, "auth")
	if err := errors.Join(
		os.MkdirAll(auth, 0o700),
		os.WriteFile(filepath.Join(auth, "basic-auth-user"), []byte(gatewayUser), 0o600),
		os.WriteFile(filepath.Join(auth, "basic-auth-password"), []byte(gatewayPassword), 0o600)); err != nil {
		u.t.Fatal(err)
	}
	c := u.command("gateway", "--listen", listen, "--state", state, "--basic-auth", auth, "--output", "json")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait() // a second time where the test has waited
	})
	var report struct{ URL string }
	if err := json.NewDecoder(out).Decode(&report); err != nil {
		u.t.Fatalf("the gateway did not come up: %v", err)
	}
	return c, report.URL
}

// TestOpenFaaS: a project on a gateway of ours, as its users go about it; then the
// gateway is killed between an asynchronous call's 202 and its run, and the call
// runs after the restart.
func TestOpenFaaS(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.env = []string{"HOME=" + filepath.Join(u.dir, "home")}
	state := filepath.Join(u.dir, "s")
	c, url := u.gateway(state, "")
	dir := write(t, map[string]string{
		"chiron.yaml": "name: slow\ndefinition: w.asl.json\nfunctions:\n  f: {handler: f.py}\ninput: input.json\n",
		"input.json":  `{"sleep": 0}`,
		"w.asl.json":  `{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "f", "End": true}}}`,
		"f.py":        "import time\ndef handler(event, context):\n    time.sleep(event['sleep'])\n    print('slept', flush=True)\n    return {'slept': event['sleep']}\n",
	})
	if s := u.chiron("ps", "--gateway", url); s.code != 1 || !strings.Contains(s.errors, "chiron login --gateway "+url) {
		t.Errorf("without a login: %+v", s)
	}
	if s := u.chironIn("wrong\n", "login", "--gateway", url, "--password-stdin"); s.code != 1 || !strings.Contains(s.errors, `refuses user "admin"`) {
		t.Errorf("a wrong password: %+v", s)
	}
	if s := u.chironIn(gatewayPassword+"\n", "login", "--gateway", url, "--password-stdin"); s.code != 0 {
		t.Fatalf("%+v", s)
	}
	u.good("deploy", dir, "--gateway", url, "--model", "sand", "--runs", "10", "--tracer", "portable", "--calibration", calibration())
	if out := u.good("invoke", "slow", "--gateway", url, "-d", `{"sleep": 0}`); strings.TrimSpace(out) != `{"slept":0}` && strings.TrimSpace(out) != `{"slept": 0}` {
		t.Errorf("answer %q", out)
	}
	if out := u.good("ps", "--gateway", url); !strings.Contains(out, "slow") || !strings.Contains(out, "ready") {
		t.Error(out)
	}
	if out := u.good("logs", "slow", "--gateway", url, "--function", "f"); !strings.Contains(out, "slept") {
		t.Errorf("log %q", out)
	}

	var answer atomic.Pointer[http.Request]
	var body atomic.Pointer[string]
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		text := string(data)
		body.Store(&text)
		answer.Store(r)
	}))
	defer back.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/async-function/slow", bytes.NewReader([]byte(`{"sleep": 3}`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Callback-Url", back.URL)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	id := resp.Header.Get("X-Call-Id")
	if resp.StatusCode != http.StatusAccepted || id == "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	if err := c.Process.Kill(); err != nil { // it sleeps still, or has not begun
		t.Fatal(err)
	}
	_ = c.Wait()
	if answer.Load() != nil {
		t.Fatal("it was answered before the gateway was killed: nothing is shown")
	}
	u.gateway(state, strings.TrimPrefix(url, "http://"))
	for end := time.Now().Add(2 * time.Minute); answer.Load() == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the call did not run after the restart")
		}
	}
	h := answer.Load().Header
	if h.Get("X-Call-Id") != id || h.Get("X-Function-Name") != "slow" || h.Get("X-Function-Status") != "200" || h.Get("X-Duration-Seconds") == "" || !strings.Contains(*body.Load(), `"slept"`) {
		t.Errorf("callback %v %s", h, *body.Load())
	}
	u.good("down", "slow", "--gateway", url)
	if s := u.chiron("ps", "slow", "--gateway", url); s.code != 1 {
		t.Errorf("after down: %+v", s)
	}
}

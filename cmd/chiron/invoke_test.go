package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gatewayStub answers as a gateway does: /function/echo repeats its input.
func gatewayStub(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /function/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Call-Id", "id-1")
		w.Header().Set("X-Type", r.Header.Get("Content-Type"))
		if r.Header.Get("Chiron-Trace") == "1" {
			w.Header().Set("Chiron-Trace", `[{"task":"Echo","function":"echo","wrap":"wrap-1","process":0,"start_us":1000,"end_us":3000,"run_us":1500,"cpu_us":200}]`)
		}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("POST /function/fails", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"error":"States.TaskFailed","cause":"ValueError: bad trade"}`))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestInvoke(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) // where deployments are looked for
	gateway := gatewayStub(t)
	file := filepath.Join(t.TempDir(), "in.json")
	if err := os.WriteFile(file, []byte(`{"from":"file"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin      string
		args             []string
		code             int
		wantOut, wantErr string
	}{
		{"default input", "", []string{"echo"}, exitDone, "{}", ""},
		{"as it is", "", []string{"echo", "-d", `{"a": 1}`}, exitDone, `{"a": 1}`, ""},
		{"file", "", []string{"echo", "-d", "@" + file}, exitDone, `{"from":"file"}`, ""},
		{"standard input", "text", []string{"echo", "-d", "-"}, exitDone, "text", ""},
		{"failure", "", []string{"fails"}, exitFailed, "", "fails failed (HTTP 500): States.TaskFailed: ValueError: bad trade"},
		{"unknown", "", []string{"nothing"}, exitFailed, "", "was answered 404 Not Found"},
		{"no file", "", []string{"echo", "-d", "@/none"}, exitFailed, "", "read the input"},
		{"bad gateway", "", []string{"echo", "--gateway", "ftp://x"}, exitUsage, "", "is no address"},
		{"nobody there", "", []string{"echo", "--gateway", "http://127.0.0.1:1"}, exitFailed, "", "start it with chiron up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, err bytes.Buffer
			a := &app{in: strings.NewReader(c.stdin), out: &out, err: &err, env: func(string) string { return "" }}
			code := run(t.Context(), a, append([]string{"invoke", "--gateway", gateway}, c.args...))
			if code != c.code || out.String() != c.wantOut || !strings.Contains(err.String(), c.wantErr) || c.wantErr == "" && err.Len() > 0 {
				t.Errorf("exit code %d, %q, %q", code, out.String(), err.String())
			}
		})
	}
}

func TestInvokeTrace(t *testing.T) {
	got := chiron(t, "invoke", "echo", "--trace", "--gateway", gatewayStub(t))
	if got.code != exitDone || got.out != "{}" {
		t.Errorf("exit code %d, %q", got.code, got.out)
	}
	fits(t, got.err)
	golden(t, "report/trace.txt", got.err)
}

func TestInvokeJSON(t *testing.T) {
	gateway := gatewayStub(t)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"echo -d [1]", exitDone, `[1]`},
		{"echo -d plain", exitDone, `"plain"`},
		{"fails", exitFailed, `{"error":"States.TaskFailed","cause":"ValueError: bad trade"}`},
	} {
		got := chiron(t, append([]string{"invoke", "-o", "json", "--gateway", gateway}, strings.Fields(c.args)...)...)
		var v struct {
			Status     int             `json:"status"`
			DurationMS float64         `json:"duration_ms"`
			Body       json.RawMessage `json:"body"`
			Text       string          `json:"text"`
		}
		if err := json.Unmarshal([]byte(got.out), &v); err != nil || got.code != c.code || v.DurationMS <= 0 || v.Status == 0 {
			t.Fatalf("%s: exit code %d, %v, %s", c.args, got.code, err, got.out)
		}
		body := string(v.Body)
		if v.Text != "" {
			body = `"` + v.Text + `"`
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(body)); err != nil || compact.String() != c.want {
			t.Errorf("%s: %s, want %s", c.args, compact.String(), c.want)
		}
	}
}

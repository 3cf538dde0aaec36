package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew from what is printed now")

func TestHelp(t *testing.T) {
	const width = 100 // of all output, as chiron's
	var out, errs bytes.Buffer
	if code := run(t.Context(), &out, &errs, []string{"--help"}); code != exitDone || errs.Len() > 0 {
		t.Errorf("exit code %d, standard error %q", code, &errs)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d characters wide, over %d: %q", n, width, line)
		}
	}
	file := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./cmd/chiron-controller -update writes it", err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// TestWrongUse: exit code 2 and one line that says what is wrong and where to read on.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"now", `"now": no argument is taken`},
		{"--nonsense", "unknown flag: --nonsense"},
		{"--drain soon", "invalid argument"},
		{"--drain 0s", "positive durations"},
		{"--workers 0", "--workers 0"},
		{"--health 8081", "--health"},
		{"--metrics none", "HOST:PORT, or off"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), &out, &errs, strings.Fields(c.args)); code != exitUsage || out.Len() > 0 {
				t.Errorf("exit code %d, want %d; standard output %q", code, exitUsage, &out)
			}
			if got := errs.String(); !strings.Contains(got, c.want) || !strings.Contains(got, "; see: chiron-controller --help") || strings.Count(got, "\n") != 1 {
				t.Errorf("standard error: %q, want one line with %q and where to read on", got, c.want)
			}
		})
	}
}

// TestNoCluster: exit code 1, and the log's last line says why.
func TestNoCluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), &out, &errs, []string{"--kubeconfig", filepath.Join(t.TempDir(), "none")}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if lines := strings.Split(strings.TrimSpace(errs.String()), "\n"); !strings.Contains(lines[len(lines)-1], `"level":"ERROR"`) || !strings.Contains(lines[len(lines)-1], "none") {
		t.Errorf("standard error: %q", &errs)
	}
}

// guarded is a log that is written to while it is read.
type guarded struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *guarded) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// TestHealth: it answers its probes while it waits for a cluster that is slow to
// answer, and ends when it is asked to. test/kube has it work on a true one.
func TestHealth(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	health := free.Addr().String()
	_ = free.Close()
	config := filepath.Join(t.TempDir(), "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n" +
		"clusters: [{name: c, cluster: {server: 'http://" + silent.Addr().String() + "'}}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, ended := &guarded{}, make(chan int, 1)
	go func() {
		ended <- run(ctx, io.Discard, log, []string{"--kubeconfig", config, "--health", health, "--metrics", "off", "--no-election"})
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + health + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %v\n%s", err, log)
		}
	}
	stop()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end\n%s", log)
	}
}

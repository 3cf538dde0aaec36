package netns

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestNamespace: what is made in a namespace is there and nowhere else.
func TestNamespace(t *testing.T) {
	n, err := New()
	if errors.Is(err, syscall.EPERM) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.Listen("tcp4", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "inside")
			_ = c.Close()
		}
	}()
	c, err := n.Dial(t.Context(), "tcp4", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); err != nil || string(text) != "inside" {
		t.Errorf("%q, %v", text, err)
	}
	_ = c.Close()
	var names []string
	var out []byte
	err = n.Do(func() error {
		interfaces, err := net.Interfaces()
		for _, i := range interfaces {
			names = append(names, i.Name)
		}
		if err == nil {
			out, err = exec.Command("cat", "/proc/net/dev").Output() // a process stays there too
		}
		return err
	})
	if err != nil || len(names) != 1 || names[0] != "lo" || strings.Count(string(out), ":") != 1 {
		t.Errorf("%v: interfaces %v, of a process %s", err, names, out)
	}
	if err := errors.Join(l.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	if _, err := n.Dial(t.Context(), "tcp4", "127.0.0.1:8080"); err == nil {
		t.Error("a namespace that was given up is entered")
	}
}

package keptconn

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, c := range map[string]struct {
		then func(net.Conn) error
		want bool
	}{
		"quiet":  {func(net.Conn) error { return nil }, true},
		"bytes":  {func(c net.Conn) error { _, err := c.Write([]byte("x")); return err }, false},
		"closed": {net.Conn.Close, false},
	} {
		t.Run(name, func(t *testing.T) {
			ours, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			theirs, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			if err := c.then(theirs); err != nil {
				t.Fatal(err)
			}
			if got := Alive(ours.(syscall.Conn)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if !c.want { // it is still there: nothing was read
				_ = ours.SetReadDeadline(time.Now().Add(time.Second))
				if n, err := ours.Read(make([]byte, 1)); n == 0 && err == nil {
					t.Error("nothing is left to read")
				}
			}
		})
	}
}

package servers

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// accept takes connections until the test ends, and keeps them.
func accept(t *testing.T, l net.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func TestFind(t *testing.T) {
	self := os.Getpid()
	path := filepath.Join(t.TempDir(), "s")
	for _, c := range []struct{ network, listen, connect string }{
		{"tcp", "127.0.0.1:0", ""},
		{"tcp", "0.0.0.0:0", "127.0.0.1"},
		{"tcp", "[::]:0", "127.0.0.1"},
		{"unix", path, path},
	} {
		l, err := net.Listen(c.network, c.listen)
		if err != nil {
			t.Fatal(err)
		}
		accept(t, l)
		address := l.Addr().String()
		if c.network == "tcp" && c.connect != "" {
			_, port, _ := net.SplitHostPort(address)
			address = net.JoinHostPort(c.connect, port)
		}
		// 1 has no part in it; another's sockets are not its own.
		if got := Find(1, []string{"bind udp 0.0.0.0:53", "connect " + c.network + " " + address}); !slices.Equal(got, []int{self}) {
			t.Errorf("who serves %s %s: %v, want %d", c.network, address, got, self)
		}
		if c.network != "tcp" {
			continue
		}
		// A connection from before the trace is found by its descriptor; the
		// process itself is no server of its own.
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := Find(self, nil); slices.Contains(got, self) {
			t.Errorf("it serves itself: %v", got)
		}
	}
	for _, nobody := range [][]string{nil, {"connect tcp 127.0.0.1:1"}, {"connect tcp 192.0.2.1:80"}, {"connect"}, {"connect tcp x"}} {
		if got := Find(1, nobody); len(got) > 0 {
			t.Errorf("%q: %v serves it", nobody, got)
		}
	}
}

func TestCPU(t *testing.T) {
	self := []int{os.Getpid()}
	before := CPU(self)
	for begin := time.Now(); time.Since(begin) < 20*time.Millisecond; {
		_ = CPU(nil)
	}
	if after := CPU(self); after <= before {
		t.Errorf("%v of CPU time after %v", after, before)
	}
	if got := CPU([]int{os.Getppid()}); got < before {
		t.Errorf("the parent's %v are less than this child's %v", got, before)
	}
	if got := CPU([]int{1 << 23}); got != 0 {
		t.Errorf("of nobody: %v", got)
	}
}

func TestParseSocket(t *testing.T) {
	got, err := parseSocket("   0: 0100007F:2619 0200007F:0050 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0")
	want := socket{local: netip.MustParseAddrPort("127.0.0.1:9753"), remote: netip.MustParseAddrPort("127.0.0.2:80"), state: listens, inode: "4711"}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	six, err := parseAddress("0000000000000000FFFF00000100007F:0050")
	if err != nil || six != netip.MustParseAddrPort("[::ffff:127.0.0.1]:80") {
		t.Errorf("%v, %v", six, err)
	}
	for _, bad := range []string{"", "a b c d e f g h i j", "0: 0100007F 0:0 0A 0 0 0 0 0 1", "0: 0100007F:1 0200007F:99999 0A 0 0 0 0 0 1"} {
		if _, err := parseSocket(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

package wrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/memfile"
	"github.com/chiron-faas/chiron/plan"
)

// memory returns a reply in shared memory.
func inMemory(t testing.TB, body []byte) host.Reply {
	t.Helper()
	var p memfile.Pool
	f, err := p.Copy(body)
	p.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Bytes(len(body))
	if err != nil {
		t.Fatal(err)
	}
	return host.Reply{Body: b, Memory: f, Content: host.Text}
}

// A result that is the next function's input goes there as the memory that it
// came in, and so does a request's body; nothing holds them afterwards.
func TestMemoryIsPassedOn(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 20_000)
	var made *memfile.File
	var got, first *memfile.File
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"a": func(c host.Call) (host.Reply, error) {
			first = c.Memory
			r := inMemory(t, text)
			made = r.Memory
			return r, nil
		},
		"b": func(c host.Call) (host.Reply, error) {
			got = c.Memory
			return host.Reply{Body: []byte(fmt.Sprint(bytes.Equal(c.Body, text))), Content: host.Text}, nil
		},
	}}
	b := testBundle(t, sequence("A", "B"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A"), pool1("B")}})
	s := serve(t, Options{}, b, h.start)
	s.post(t, string(text[:100_000]), "true")
	if first == nil || got == nil || got != made {
		t.Errorf("the request's body was memory %p; memory %p was made, %p given", first, made, got)
	}
	if made.FD() >= 0 {
		t.Error("the result is held after the request")
	}
}

// largeDefinition has large values take every way: between functions of a
// process, processes and wraps, several at once, cut up and put together.
const largeDefinition = `{"StartAt":"First","States":{
 "First":{"Type":"Task","Resource":"echo","Next":"Fan"},
 "Fan":{"Type":"Parallel","Next":"Cut","Branches":[
  {"StartAt":"A","States":{"A":{"Type":"Task","Resource":"echo","End":true}}},
  {"StartAt":"B1","States":{"B1":{"Type":"Task","Resource":"json","Next":"B2"},"B2":{"Type":"Task","Resource":"echo","End":true}}},
  {"StartAt":"C","States":{"C":{"Type":"Task","Resource":"json","End":true}}},
  {"StartAt":"D1","States":{"D1":{"Type":"Task","Resource":"echo","Next":"D2"},"D2":{"Type":"Task","Resource":"json","End":true}}}]},
 "Cut":{"Type":"Pass","OutputPath":"$[1]","Next":"Last"},
 "Last":{"Type":"Task","Resource":"echo","Next":"Far"},
 "Far":{"Type":"Task","Resource":"json","End":true}}}`

func TestPythonLargeValues(t *testing.T) { // not parallel: it counts descriptors
	handlers["json"] = "def handler(event, context):\n    return event\n"
	dirs := writeBundles(t, largeDefinition, nil,
		plan.Wrap{Processes: []plan.Process{pool1("First", "A", "D1"), fork1("Last")}},
		plan.Wrap{Processes: []plan.Process{pool1("B1", "B2"), fork1("C"), pool1("D2", "Far")}})
	for _, network := range []string{"unix", "tcp", "http1"} {
		t.Run(network, func(t *testing.T) {
			o := Options{Dir: dirs[1]}
			if network != "unix" {
				o.Listen = "127.0.0.1:0"
			}
			two := run(t, o)
			one := run(t, Options{Dir: dirs[0], Peers: map[string]string{"wrap-2": network + "://" + two.Addr().String()}})
			value := func(n int, fill string) string {
				v, err := json.Marshal(map[string]string{"fill": strings.Repeat(fill, n/len(fill))})
				if err != nil {
					t.Fatal(err)
				}
				return string(v)
			}
			for _, size := range []int{10, host.DefaultShareOver, 100_000, 3 << 20} {
				one.post(t, value(size, "x"), value(size, "x"))
			}
			count := func() int {
				entries, err := os.ReadDir("/proc/self/fd")
				if err != nil {
					t.Fatal(err)
				}
				return len(entries)
			}
			batch := func() {
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() {
						for j := range 5 {
							v := value(40_000*(1+i), fmt.Sprintf("caller %d's value %d, ", i, j))
							if a, err := one.try("POST", "/", v); err != nil || a.status != 200 || a.body != v {
								t.Errorf("caller %d: %v, status %d, %d bytes of %d: %.400s", i, err, a.status, len(a.body), len(v), a.body)
							}
						}
					})
				}
				wg.Wait()
			}
			// Connections, lanes and what they keep are bounded, and sooner or later
			// all there; what leaked would be more with every request of every batch.
			for try := 1; ; try++ {
				before := count()
				batch()
				after := count()
				if t.Failed() || after < before+20 {
					break
				}
				if try == 10 {
					t.Fatalf("20 requests after 180 others: %d descriptors before, %d after", before, after)
				}
			}
		})
	}
	eventually(t, "no shared memory is mapped once the wraps have ended", func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(string(maps), "memfd:chiron")
	})
}

// Memory that another wrap says is beside its request, and is not, or is
// something else, is that request's failure.
func TestStageRefusesMemory(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{MaxBody: 1 << 20}, b, h.start)
	pipe := func() int {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(p[1])
		return p[0]
	}
	memfd := func(size int64, seals int) int {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	for name, tc := range map[string]struct {
		fd     int
		size   string
		status int
		says   string
	}{
		"good":     {memfd(8192, unix.F_SEAL_SHRINK), "8000", 200, ""},
		"none":     {-1, "8000", 400, "there is none"},
		"no size":  {memfd(8192, unix.F_SEAL_SHRINK), "x", 400, "no length"},
		"negative": {memfd(8192, unix.F_SEAL_SHRINK), "-1", 400, "over the limit"},
		"lie":      {memfd(8192, unix.F_SEAL_SHRINK), "8193", 400, "has 8192 bytes and shall have 8193"},
		"too much": {memfd(8192, unix.F_SEAL_SHRINK), "1048577", 413, "over the limit"},
		"unsealed": {memfd(8192, 0), "8000", 400, "not sealed"},
		"a pipe":   {pipe(), "8000", 400, "no shared memory"},
	} {
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		var rights []byte
		if tc.fd >= 0 {
			rights = unix.UnixRights(tc.fd)
		}
		head := "POST /_/stage?plan=plan-a&state=A HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n" + headerShared + ": " + tc.size + "\r\n\r\n"
		if _, _, err := c.WriteMsgUnix([]byte(head), rights, nil); err != nil {
			t.Fatal(err)
		}
		if tc.fd >= 0 {
			_ = unix.Close(tc.fd)
		}
		answer, err := io.ReadAll(c)
		_ = c.Close()
		if err != nil || !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", tc.status)) || !strings.Contains(string(answer), tc.says) {
			t.Errorf("%s: %v, %.300s", name, err, answer)
		}
	}
	eventually(t, "no shared memory is left", func() bool {
		links, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if to, _ := os.Readlink(l); strings.Contains(to, "memfd:test") {
				return false
			}
		}
		return true
	})
	// Over TCP nothing can be beside a request.
	tcp := serve(t, Options{Listen: "127.0.0.1:0"}, b, h.start)
	if a := tcp.do(t, "POST", "/_/stage?plan=plan-a&state=A", "", headerShared, "8000"); a.status != 400 || !strings.Contains(a.body, "passes no memory") {
		t.Errorf("over TCP: %+v", a)
	}
}

// dribble sends what and then nothing, and returns the connection.
func dribble(t testing.TB, s *served, what string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
	return c
}

// A caller that takes its answer byte by byte, or not at all, holds its place
// for the patience, and nobody else up for longer.
func TestCallerStopsReading(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(host.Call) (host.Reply, error) {
		return inMemory(t, make([]byte, 8<<20)), nil
	}, "b": echo}}
	b := testBundle(t, sequence("A", "B"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A", "B")}})
	s := serve(t, Options{Concurrency: 1, answerPatience: 50 * time.Millisecond}, b, h.start)
	stalled := dribble(t, s, "POST /function/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
	one := make([]byte, 1)
	if _, err := stalled.Read(one); err != nil {
		t.Fatal(err)
	}
	if a := s.do(t, "POST", "/function/b", "next"); a.status != 200 || a.body != "next" {
		t.Errorf("the next request: %+v", a)
	}
	// It was cut off: its answer ends early.
	if n, err := io.Copy(io.Discard, stalled); n >= 8<<20 {
		t.Errorf("the stalled caller got %d bytes, %v", n, err)
	}
}

// A caller that sends its body byte by byte holds nobody up while it is small,
// and is told when it took too long.
func TestCallerDribbles(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{Concurrency: 1, bodyPatience: 200 * time.Millisecond}, b, h.start)
	for _, size := range []int{100, 8 << 20} {
		c := dribble(t, s, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nx", size))
		s.post(t, "next", "next")
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", http.StatusRequestTimeout)) || !strings.Contains(string(answer), "did not come within 200ms") {
			t.Errorf("%d bytes: %v, %.200s", size, err, answer)
		}
	}
}

package objectstore

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func call(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestStore(t *testing.T) {
	s, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/b/k", "", 404, "no such object\n"},
		{"PUT", "/b/k", "one", 201, ""},
		{"GET", "/b/k", "", 200, "one"},
		{"PUT", "/b/k", "two", 204, ""},
		{"GET", "/b/k", "", 200, "two"},
		{"HEAD", "/b/k", "", 200, ""},
		{"PUT", "/b/a/b", "x", 201, ""},
		{"PUT", "/c/k", "x", 201, ""},
		{"GET", "/b/", "", 200, "a/b\nk\n"},
		{"DELETE", "/b/k", "", 204, ""},
		{"DELETE", "/b/k", "", 404, "no such object\n"},
		{"GET", "/b/", "", 200, "a/b\n"},
		{"GET", "/b", "", 404, "give a path of the form /BUCKET/KEY\n"},
		{"POST", "/b/k", "x", 405, "method not allowed\n"},
		{"PUT", "/b/", "x", 405, "method not allowed\n"},
		{"PUT", "/b/a%0Ab", "x", 400, "a path is UTF-8 without control characters\n"},
		{"PUT", "/b/%ff", "x", 400, "a path is UTF-8 without control characters\n"},
		{"PUT", "/b/" + strings.Repeat("k", maxPath), "x", 414, "a path has at most 1024 bytes\n"},
		{"PUT", "//k", "x", 404, "give a path of the form /BUCKET/KEY\n"},
	} {
		if status, answer := call(t, s, c.method, c.path, c.body); status != c.status || answer != c.answer {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, status, answer, c.status, c.answer)
		}
	}
	if status, _ := call(t, s, "PUT", "/b/large", string(make([]byte, maxObject+1))); status != 413 {
		t.Errorf("an object that is too large: %d, want 413", status)
	}
}

func TestStoreBounds(t *testing.T) {
	s, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.total = maxTotal - 2 - int64(len("/b/k"))
	if status, _ := call(t, s, "PUT", "/b/k", "abc"); status != http.StatusInsufficientStorage {
		t.Errorf("a full store answers %d", status)
	}
	if status, _ := call(t, s, "PUT", "/b/k", "ab"); status != http.StatusCreated {
		t.Errorf("the last bytes: %d", status)
	}
	if status, _ := call(t, s, "DELETE", "/b/k", ""); status != http.StatusNoContent || s.total != maxTotal-2-int64(len("/b/k")) {
		t.Errorf("after its deletion: %d, %d bytes", status, s.total)
	}
	s.mu.Lock()
	for n := range maxObjects {
		s.objects["/c/"+strconv.Itoa(n)] = nil
	}
	s.mu.Unlock()
	if status, _ := call(t, s, "PUT", "/b/k", ""); status != http.StatusInsufficientStorage {
		t.Errorf("one object too many: %d", status)
	}
	if status, _ := call(t, s, "PUT", "/c/1", ""); status != http.StatusNoContent {
		t.Errorf("an object that is there: %d", status)
	}
}

func TestStoreConcurrently(t *testing.T) {
	s, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	body := string(bytes.Repeat([]byte("x"), 4096))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			path := "/b/" + string(rune('a'+i%4))
			for range 20 {
				call(t, s, "PUT", path, body)
				if status, got := call(t, s, "GET", path, ""); status != 200 || got != body {
					t.Errorf("%d, %d bytes", status, len(got))
				}
			}
		})
	}
	all.Wait()
	if want := int64(4 * (4096 + len("/b/a"))); s.total != want {
		t.Errorf("total %d, want %d", s.total, want)
	}
}

func TestProbe(t *testing.T) {
	s, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), s.Addr()); err != nil {
		t.Errorf("a store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), s.Addr()); err == nil {
		t.Error("a store that has ended is taken for one")
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if err := Probe(t.Context(), other.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("another server: %v", err)
	}
	text, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var talk sync.WaitGroup
	talk.Go(func() {
		c, err := text.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "220 ready\r\n") // a mail server, say
		_ = c.Close()
	})
	if err := Probe(t.Context(), text.Addr().String()); err == nil {
		t.Error("what does not speak HTTP is taken for a store")
	}
	talk.Wait()
}

package pipeline

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/workflow"
)

func TestServeStore(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	p := &workflow.Project{ObjectStore: address}
	end, err := ServeStore(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ServeStore(t.Context(), p, nil) // as another chiron would
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	url := "http://" + address + "/bucket/key"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader([]byte("text")))
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() (*http.Response, error){
		func() (*http.Response, error) { return http.DefaultClient.Do(req) },
		func() (*http.Response, error) { return http.Get(url) },
	} {
		res, err := do()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode/100 != 2 || res.Request.Method == http.MethodGet && string(body) != "text" {
			t.Errorf("%s: %d %s, %v", res.Request.Method, res.StatusCode, body, err)
		}
		_ = res.Body.Close()
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close()
		t.Error("the store outlives its end")
	}
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	// The listen queue takes the question's connection; nobody answers it.
	if _, err := ServeStore(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("beside another program: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if end, err := ServeStore(t.Context(), &workflow.Project{}, nil); err != nil || end() != nil {
		t.Errorf("without a store: %v", err)
	}
}

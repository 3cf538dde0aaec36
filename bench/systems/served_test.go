package systems

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
)

// TestRestedConnection is a turn after others' long ones, in which the gateway has
// closed the connection.
func TestRestedConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	u := &served{gateway: load.Target{Network: "tcp", Address: server.Listener.Addr().String(), Path: "/", Body: []byte("1")}}
	defer func() { _ = u.conn.Close() }()
	for range 2 {
		if a, _, err := u.post(t.Context(), false); err != nil || string(a.Body) != "1" {
			t.Fatalf("got %q, %v", a.Body, err)
		}
		server.CloseClientConnections()
		u.used = u.used.Add(-2 * keepConn)
	}
	if a, _, err := u.post(t.Context(), false); err != nil || string(a.Body) != "1" || time.Since(u.used) > keepConn {
		t.Errorf("got %q, %v; the connection was last used at %v", a.Body, err, u.used)
	}
}

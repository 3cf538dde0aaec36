package kube

import (
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/chiron-faas/chiron/test/kube/cluster"
)

// closed is the part of the registry that asks for this user and password.
const (
	closed         = "closed"
	closedUser     = "puller"
	closedPassword = "open-sesame"
)

// shared is the one registry of all tests: the node takes images from no other address.
var shared struct {
	sync.Mutex
	server *http.Server
	served chan struct{}
	users  int
}

// serveRegistry serves a registry while the test runs, and returns its address, from
// which the node pulls.
func serveRegistry(t *testing.T) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.users++; shared.users == 1 {
		listener, err := net.Listen("tcp", cluster.Registry)
		if err != nil {
			t.Fatal(err)
		}
		shared.server = &http.Server{Handler: partlyClosed(registry.New(registry.Logger(log.New(io.Discard, "", 0)))), ReadHeaderTimeout: 10 * time.Second}
		server, served := shared.server, make(chan struct{})
		shared.served = served
		go func() {
			_ = server.Serve(listener) // until Close
			close(served)
		}()
	}
	t.Cleanup(func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.users--; shared.users == 0 {
			_ = shared.server.Close()
			<-shared.served
		}
	})
	return cluster.Registry
}

// partlyClosed asks for a password where an image's name begins with closed.
func partlyClosed(open http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		if strings.HasPrefix(req.URL.Path, "/v2/"+closed+"/") && (user != closedUser || password != closedPassword) {
			w.Header().Set("WWW-Authenticate", `Basic realm="closed"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, req)
	})
}

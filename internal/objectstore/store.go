// Package objectstore is a small HTTP object store in memory, so that examples,
// tests and experiments have a real server on this machine to send to and to
// fetch from: PUT, GET, HEAD and DELETE of /BUCKET/KEY, and GET of /BUCKET/,
// which lists its keys. It is no store for data that matters.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxObject bounds an object, maxTotal all of them with their paths, bytes;
	// maxObjects their number, maxPath the bytes of "/BUCKET/KEY".
	maxObject  = 16 << 20
	maxTotal   = 256 << 20
	maxObjects = 100_000
	maxPath    = 1024
	// maxPuts bounds the bodies that are being received, and so the memory that
	// they take before they are stored; further ones wait.
	maxPuts = 16
	// patience bounds the reading of a request and the ends of connections.
	patience = 30 * time.Second
	// product is what the Server header says, and what Probe looks for.
	product = "chiron-objectstore"
)

// Limits bound what a store takes, bytes.
type Limits struct {
	Object int64 // of one object
	Total  int64 // of all, with their paths
}

// Server is a store that is being served.
type Server struct {
	limits   Limits
	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the server has ended
	puts     chan struct{} // holds one for each body that is being received

	mu      sync.RWMutex
	objects map[string][]byte // by path "/BUCKET/KEY"; guarded by mu
	total   int64             // guarded by mu
}

// Listen serves an empty store at a TCP address until Close.
func Listen(ctx context.Context, address string) (*Server, error) {
	return ListenLarge(ctx, address, Limits{Object: maxObject, Total: maxTotal})
}

// ListenLarge is Listen with limits of the caller's.
func ListenLarge(ctx context.Context, address string, limits Limits) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	s := &Server{limits: limits, listener: l, served: make(chan struct{}), puts: make(chan struct{}, maxPuts), objects: make(map[string][]byte)}
	s.http = &http.Server{Handler: s, ReadTimeout: patience, IdleTimeout: patience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { // Close waits for it
		_ = s.http.Serve(l) // ends with Close
		close(s.served)
	}()
	return s, nil
}

// Probe reports whether the server at a TCP address is one of this package's: nil
// if so, else what is wrong with it.
func Probe(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return fmt.Errorf("object store: %w", err)
	}
	// No proxy of the environment's, and no connection that outlives the question.
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("object store: what listens at %s does not answer as one: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Server") != product {
		return fmt.Errorf("object store: what listens at %s is another program's", address)
	}
	return nil
}

// Addr is the address that it is served at.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the store and drops what it holds.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.served
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", product)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case len(r.URL.Path) > maxPath:
		http.Error(w, fmt.Sprintf("a path has at most %d bytes", maxPath), http.StatusRequestURITooLong)
	case strings.ContainsFunc(r.URL.Path, unicode.IsControl) || !utf8.ValidString(r.URL.Path):
		// A list has one key a line.
		http.Error(w, "a path is UTF-8 without control characters", http.StatusBadRequest)
	case !ok || bucket == "":
		http.Error(w, "give a path of the form /BUCKET/KEY", http.StatusNotFound)
	case key == "" && r.Method == http.MethodGet:
		s.list(w, r.URL.Path)
	case key == "":
		refuse(w, "GET")
	case r.Method == http.MethodPut:
		s.put(w, r)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		s.get(w, r)
	case r.Method == http.MethodDelete:
		s.delete(w, r)
	default:
		refuse(w, "GET, HEAD, PUT, DELETE")
	}
}

func refuse(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	select {
	case s.puts <- struct{}{}:
		defer func() { <-s.puts }()
	case <-r.Context().Done():
		return
	}
	body := http.MaxBytesReader(w, r.Body, s.limits.Object)
	var data []byte
	var err error
	if n := r.ContentLength; n >= 0 && n <= s.limits.Object {
		data = make([]byte, n)
		_, err = io.ReadFull(body, data)
	} else {
		data, err = io.ReadAll(body)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("an object has at most %d bytes", s.limits.Object), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.objects[r.URL.Path]
	more := int64(len(data) - len(old))
	if !known {
		more += int64(len(r.URL.Path))
	}
	if s.total+more > s.limits.Total || !known && len(s.objects) == maxObjects {
		http.Error(w, "the store is full", http.StatusInsufficientStorage)
		return
	}
	s.objects[r.URL.Path] = data
	s.total += more
	if known {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	data, ok := s.objects[r.URL.Path]
	s.mu.RUnlock() // a slice in the store is never written again
	if !ok {
		http.Error(w, "no such object", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(data) // the caller may have left
	}
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[r.URL.Path]
	if !ok {
		http.Error(w, "no such object", http.StatusNotFound)
		return
	}
	delete(s.objects, r.URL.Path)
	s.total -= int64(len(data) + len(r.URL.Path))
	w.WriteHeader(http.StatusNoContent)
}

// list writes a bucket's keys, sorted, one a line.
func (s *Server) list(w http.ResponseWriter, prefix string) {
	var keys []string
	s.mu.RLock()
	for path := range s.objects {
		if key, ok := strings.CutPrefix(path, prefix); ok {
			keys = append(keys, key)
		}
	}
	s.mu.RUnlock()
	slices.Sort(keys)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, k := range keys {
		_, _ = io.WriteString(w, k+"\n")
	}
}

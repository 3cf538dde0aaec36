package services

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
)

// options are those of services of the test's own; it is skipped where a server's
// program is missing.
func options(t *testing.T) Options {
	t.Helper()
	dir, gateway, built := benchtest.Services(t)
	ports, err := FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Ports: ports, Gateway: gateway}
	if !built {
		o.Ports.S3 = 0
	}
	var missing *MissingError
	if err := Installed(o); errors.As(err, &missing) {
		t.Skip(err)
	}
	return o
}

func TestStartSeedStop(t *testing.T) {
	o := options(t)
	o.Outlive = true
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // a second one does nothing
	if err := Ready(t.Context(), s.Ports); err != nil {
		t.Error(err)
	}
	count := func() string {
		t.Helper()
		got, err := s.sql(t.Context(), strings.NewReader("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM follows), (SELECT count(*) FROM posts)"))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := count()
	if !strings.HasPrefix(before, "200|") || !strings.HasSuffix(before, "|0") {
		t.Errorf("rows: %s", before)
	}
	if _, err := s.sql(t.Context(), strings.NewReader("INSERT INTO posts VALUES (1, 1, '{}'); DELETE FROM follows WHERE followee = 1")); err != nil {
		t.Fatal(err)
	}
	// As another process finds them.
	other, err := Attach(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if !other.Running() || other.Ports != o.Ports {
		t.Errorf("running %v at %+v", other.Running(), other.Ports)
	}
	if err := other.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := count(); after != before {
		t.Errorf("seeded twice: %s, once: %s", after, before)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "services-stop") {
		t.Errorf("a second start in the same folder: %v", err)
	}

	if err := converse(t.Context(), redis, o.Ports.Redis, "DEL dataset\r\n", ":1"); err != nil {
		t.Fatal(err)
	}
	if err := Ready(t.Context(), o.Ports); err == nil || !strings.Contains(err.Error(), "make services") || !strings.Contains(err.Error(), "Redis") {
		t.Errorf("with data missing: %v", err)
	}
	if _, err := s.sql(t.Context(), strings.NewReader("DROP TABLE dataset")); err != nil {
		t.Fatal(err)
	}
	if err := Ready(t.Context(), o.Ports); err == nil || !strings.Contains(err.Error(), "make services") || !strings.Contains(err.Error(), "PostgreSQL") {
		t.Errorf("with data missing: %v", err)
	}

	processes := s.Processes
	if err := other.Stop(); err != nil {
		t.Error(err)
	}
	for _, p := range processes {
		if p.alive() {
			t.Errorf("%s still runs", p.Name)
		}
	}
	if err := Ready(t.Context(), o.Ports); err == nil || !strings.Contains(err.Error(), "make services") {
		t.Errorf("with the services stopped: %v", err)
	}
	if _, err := Attach(o.Dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	o := options(t)
	l, err := net.Listen("tcp", address(o.Ports.Memcached))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = Start(t.Context(), o)
	var taken *TakenError
	if !errors.As(err, &taken) || taken.Service != memcached || taken.Port != o.Ports.Memcached {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(err.Error(), "-memcached-port") {
		t.Errorf("it does not say what to do: %v", err)
	}
	if entries, _ := os.ReadDir(o.Dir); len(entries) != 0 {
		t.Errorf("it has begun: %v", entries)
	}
}

// A start that is given up leaves nothing that runs.
func TestStartGivenUp(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s, err := Start(ctx, o); err == nil {
		t.Errorf("it started in 10 ms: %v", s.Stop())
	}
	if err := o.check(); err != nil {
		t.Errorf("a port is still taken: %v", err)
	}
}

func TestNotInstalled(t *testing.T) {
	err := Installed(Options{Gateway: filepath.Join(t.TempDir(), "versitygw")})
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Install == "" {
		t.Errorf("error %v", err)
	}
}

func TestGenerateIsTheSame(t *testing.T) {
	a, b := Generate(), Generate()
	if !reflect.DeepEqual(a, b) {
		t.Error("two calls differ")
	}
	titles := map[string]bool{}
	for _, m := range a.Movies {
		titles[m.Title] = true
	}
	if len(titles) != movies {
		t.Errorf("%d titles for %d movies", len(titles), movies)
	}
	for _, u := range a.Users {
		if len(u.Followers) < 2 {
			t.Errorf("%s has %d followers", u.Name, len(u.Followers))
		}
	}
	// A known draw: data that were seeded by another build are the same.
	if got := a.Users[6].Name + " " + a.Users[6].Password; got != "barbara_007 reed-413514" {
		t.Errorf("the seventh user is %q", got)
	}
}

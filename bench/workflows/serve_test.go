package workflows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan/model"
)

// start starts services of the test's own; it is skipped where one is not
// installed.
func start(t *testing.T) *services.Services {
	t.Helper()
	dir, gateway, built := benchtest.Services(t)
	ports, err := services.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	o := services.Options{Dir: dir, Ports: ports, Gateway: gateway}
	if !built {
		o.Ports.S3 = 0
	}
	s, err := services.Start(t.Context(), o)
	var missing *services.MissingError
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// up serves a workflow under a deployment model. Its functions look for the
// services at the ports.
func up(t *testing.T, agent, name string, m model.Model, ports services.Ports) (post func(input []byte) ([]byte, error), input []byte) {
	t.Helper()
	if ports.S3 == 0 && (name == slapp || name == slappV) {
		t.Skip("the object server is not built: make services")
	}
	dir, err := os.MkdirTemp("", "w") // of a short name: see serving.Options.Dir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p, err := Write(name, filepath.Join(dir, "p"), ports)
	if err != nil {
		t.Fatal(err)
	}
	pl, err := model.Build(m, model.Input{Workflow: p.Name, Definition: p.Definition, Functions: p.Functions})
	if err != nil {
		t.Fatal(err)
	}
	served, err := serving.Up(t.Context(), serving.Options{
		Project: p, Plan: pl, Agent: agent, Dir: dir,
		Interpreter: func(ctx context.Context, lang, runtime string) (string, error) {
			found, err := host.FindInterpreter(ctx, lang, runtime)
			return found.Path, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := served.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return func(input []byte) ([]byte, error) {
		body, _, err := serving.Post(t.Context(), served.Client, "/", input, false)
		return body, err
	}, p.Input
}

// One set of services and one program serve all of these: the parts run in turn,
// since the last empties the stores.
func TestServed(t *testing.T) {
	s := start(t)
	agent := programtest.BuildAgent(t)
	t.Run("right", func(t *testing.T) { answerRight(t, agent, s) })
	t.Run("names", func(t *testing.T) { oddNames(t, agent, s) })
	t.Run("down", func(t *testing.T) { storeDown(t, agent, s) })
	t.Run("missing", func(t *testing.T) { dataMissing(t, agent, s) })
}

// answerRight has every workflow run in the real runtime, with real stores, its
// functions as threads of one process, and some in processes of their own.
func answerRight(t *testing.T, agent string, s *services.Services) {
	for _, test := range []struct {
		name     string
		model    model.Model
		requests int
	}{
		{sn, model.FaastlaneT, 3},
		{sn, model.Faastlane, 3},
		{mr, model.FaastlaneT, 3},
		{slapp, model.FaastlaneT, 3},
		{slappV, model.Faastlane, 3},
		{"finra-5", model.Faastlane, 3},
		{"finra-50", model.FaastlaneT, 1},
		{"finra-100", model.FaastlaneT, 1},
		{"finra-200", model.FaastlaneT, 1},
	} {
		t.Run(test.name+"/"+string(test.model), func(t *testing.T) {
			post, input := up(t, agent, test.name, test.model, s.Ports)
			check, err := NewChecker(test.name)
			if err != nil {
				t.Fatal(err)
			}
			for range test.requests {
				answer, err := post(input)
				if err != nil {
					t.Fatal(err)
				}
				if err := check.Check(answer); err != nil {
					t.Errorf("%v: %s", err, answer)
				}
				spoilt(t, test.name, answer)
			}
		})
	}
	if err := services.Ready(t.Context(), s.Ports); err != nil {
		t.Error(err)
	}
}

// spoilt wants the check to find every change of a figure in an answer.
func spoilt(t *testing.T, name string, answer []byte) {
	t.Helper()
	check, err := NewChecker(name)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]string{
		"sn":      {`"mentions"`, `"full_name":"`, `"text":"`, `"short":"`, `"crc32":`, `"readers":`, `"newest":"`, `"stored":"`, `"words":`, `"flagged":["`},
		"mr":      {`"year":`, `"keywords":["`, `"signature":[`, `"crc32":`, `"stars":`, `"ratings":`, `"newest":"`, `"rating":`},
		"slapp":   {`"bits":`, `"sha256":"`, `"crc32":`, `"last":"`, `"key":"`, `{"fibonacci":`},
		"slapp-v": {`"bits":`, `"sha256":"`, `"crc32":`, `"last":"`, `"key":"`, `{"fibonacci":`},
	}[name]
	if parts == nil {
		parts = []string{`"equity":`, `"margin_required":`, `"margin_balance":`, `"lastprice":[`, `"volume":`, `"valid":`}
	}
	// Without spaces, whatever wrote it.
	plain, err := canonical(answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		i := bytes.Index(plain, []byte(part))
		if i < 0 {
			t.Errorf("the answer has no %s: %s", part, plain)
			continue
		}
		changed := bytes.Clone(plain)
		at := &changed[i+len(part)]
		switch {
		case *at >= '0' && *at < '9':
			*at++
		case *at == '9':
			*at = '8'
		default: // a letter, or what makes it no JSON
			*at = 'X'
		}
		if check.Check(changed) == nil {
			t.Errorf("a change behind %s is not found", part)
		}
	}
}

// storeDown has the function that needs a store name it where it is down, or where
// it takes connections and never answers; the workflow answers in time.
func storeDown(t *testing.T, agent string, s *services.Services) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	mute := silent.Addr().(*net.TCPAddr).Port
	free, err := services.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, workflow, store string
		move                  func(*services.Ports)
	}{
		{"PostgreSQL down", mr, "PostgreSQL at 127.0.0.1:", func(p *services.Ports) { p.Postgres = free.Postgres }},
		{"PostgreSQL silent", sn, "PostgreSQL at 127.0.0.1:", func(p *services.Ports) { p.Postgres = mute }},
		{"Redis silent", sn, "Redis at 127.0.0.1:", func(p *services.Ports) { p.Redis = mute }},
		{"memcached down", sn, "memcached at 127.0.0.1:", func(p *services.Ports) { p.Memcached = free.Memcached }},
		{"memcached silent", mr, "memcached at 127.0.0.1:", func(p *services.Ports) { p.Memcached = mute }},
		{"S3 silent", slapp, "S3 at 127.0.0.1:", func(p *services.Ports) { p.S3 = mute }},
	} {
		t.Run(test.name, func(t *testing.T) {
			ports := s.Ports
			test.move(&ports)
			post, input := up(t, agent, test.workflow, model.FaastlaneT, ports)
			begun := time.Now()
			_, err := post(input)
			took := time.Since(begun)
			if err == nil || !strings.Contains(err.Error(), test.store) || !strings.Contains(err.Error(), "make services") {
				t.Errorf("error %v", err)
			}
			// Three seconds of patience, and a busy machine.
			if took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// oddNames: whatever people call themselves is looked up, and no store is blamed for
// a name that it cannot have as a key.
func oddNames(t *testing.T, agent string, s *services.Services) {
	post, input := up(t, agent, mr, model.FaastlaneT, s.Ports)
	var review map[string]any
	if err := json.Unmarshal(input, &review); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zoë", "名前", strings.Repeat("x", 300), "a b\r\nflush_all"} {
		review["user"] = name
		changed, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := post(changed); err == nil || !strings.Contains(err.Error(), "the user ") || strings.Contains(err.Error(), "memcached") {
			t.Errorf("mr, user %.10q: %v", name, err)
		}
	}
	post, input = up(t, agent, sn, model.FaastlaneT, s.Ports)
	var written map[string]any
	if err := json.Unmarshal(input, &written); err != nil {
		t.Fatal(err)
	}
	written["text"] = fmt.Sprintf("%v @zoë @名前 @%s", written["text"], strings.Repeat("x", 300))
	changed, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := post(changed); err != nil {
		t.Errorf("sn: %v", err)
	}
}

// dataMissing tells stores without the workflows' data from those that are down;
// when the data are put there, the same deployment answers.
func dataMissing(t *testing.T, agent string, s *services.Services) {
	if err := s.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := services.Ready(t.Context(), s.Ports); err == nil || !strings.Contains(err.Error(), "make services") {
		t.Errorf("ready: %v", err)
	}
	type deployment struct {
		post  func([]byte) ([]byte, error)
		input []byte
	}
	deployments := make(map[string]deployment)
	stores := map[string]string{sn: "PostgreSQL at"}
	if s.Ports.S3 != 0 {
		stores[slapp] = "S3 at"
	}
	for name, store := range stores {
		post, input := up(t, agent, name, model.FaastlaneT, s.Ports)
		deployments[name] = deployment{post, input}
		if _, err := post(input); err == nil || !strings.Contains(err.Error(), "is not in "+store) || !strings.Contains(err.Error(), "make services") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := s.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, d := range deployments {
		answer, err := d.post(d.input)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(name, answer); err != nil {
			t.Error(err)
		}
	}
}

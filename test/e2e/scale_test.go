package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scaled has two wraps, the first of which takes two requests at once.
func scaled(t *testing.T, code string) string {
	return project(t, code, map[string]string{
		"chiron.yaml":       "name: p\ndefinition: workflow.asl.json\nfunctions:\n  a: {lang: python, handler: a.py, timeout: 20s}\n",
		"workflow.asl.json": twoTasks,
		"plan.json": `{"apiVersion":"chiron/v1","workflow":"p","model":"test","wraps":[
			{"name":"wrap-1","cpus":1,"concurrency":2,"processes":[{"mode":"pool","tasks":["A"]}]},
			{"name":"wrap-2","cpus":1,"processes":[{"mode":"pool","tasks":["B"]}]}]}`,
	})
}

const slowly = `
import time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return event
`

type psWrap struct {
	Name     string
	Instance int
	State    string
	PID      int
	StartMS  float64 `json:"start_ms"`
}

// ps is the state of the one deployment, and its wraps.
func (u *user) ps() (state string, wraps []psWrap) {
	u.t.Helper()
	var all []struct {
		State string
		Wraps []psWrap
	}
	if err := json.Unmarshal([]byte(u.good("ps", "--output", "json")), &all); err != nil || len(all) != 1 {
		u.t.Fatalf("%d deployments, %v", len(all), err)
	}
	return all[0].State, all[0].Wraps
}

// until waits until so many instances are ready, and returns their wraps.
func (u *user) until(instances int) []psWrap {
	u.t.Helper()
	var wraps []psWrap
	eventually(u.t, time.Minute, func() error {
		_, wraps = u.ps()
		ready := make(map[int]int)
		for _, w := range wraps {
			if w.State == "ready" {
				ready[w.Instance]++
			}
		}
		whole := 0
		for _, n := range ready {
			if n == 2 {
				whole++
			}
		}
		if whole != instances || len(wraps) != 2*instances {
			return fmt.Errorf("want %d whole instances: %+v", instances, wraps)
		}
		return nil
	})
	return wraps
}

// TestScale: 50 requests at once bring up as many instances as there may be, a
// pause takes all of them down, and the next request finds one again.
func TestScale(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	s := u.up(scaled(t, slowly), "--instances", "0..3", "--idle", "4s")
	var callers sync.WaitGroup
	for i := range 50 {
		callers.Go(func() {
			input := fmt.Sprintf(`{"n": %d, "sleep": 0.3}`, i)
			if status, body, err := try(t, s.url+"/function/p", input); err != nil || status != 200 || !strings.Contains(body, fmt.Sprintf(`"n":%d,`, i)) {
				t.Errorf("request %d: %d %s, %v", i, status, body, err)
			}
		})
	}
	u.until(3)
	callers.Wait()
	u.until(0)
	if state, _ := u.ps(); state != "idle" {
		t.Errorf("state %q without an instance, want idle", state)
	}
	for pid, command := range u.processes() {
		if !strings.Contains(command, "chiron up ") && !strings.HasSuffix(command, "template ") {
			t.Errorf("running without an instance: %d %s", pid, command)
		}
	}
	for i := range 2 { // as many as an instance takes at once: they share one start
		callers.Go(func() {
			if status, body, err := try(t, s.url+"/function/p", `{"n": 1, "sleep": 2}`); err != nil || status != 200 {
				t.Errorf("request %d after the pause: %d %s, %v", i, status, body, err)
			}
		})
	}
	if wraps := u.until(1); wraps[0].StartMS <= 0 {
		t.Errorf("the cold start's time is not told: %+v", wraps)
	}
	callers.Wait()
	for _, want := range []string{`chiron_instances{state="ready"} 1`, `chiron_instance_starts_total{result="ok"} 3`, "chiron_instance_start_seconds_count 3"} {
		if metrics := get(t, s.url+"/metrics"); !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %q", want)
		}
	}
	u.good("down", "p")
	u.gone()
}

// TestInstanceIsKilled: of an instance that is killed under load, nobody but who
// was inside has a failure, and that is a clear one.
func TestInstanceIsKilled(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	s := u.up(scaled(t, slowly), "--instances", "2..2")
	wraps := u.until(2)
	var failed, right atomic.Int64
	var callers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				input := fmt.Sprintf(`{"n": "%d.%d", "sleep": 0.01}`, i, n)
				switch status, body, err := try(t, s.url+"/function/p", input); {
				case status == 200 && strings.Contains(body, fmt.Sprintf(`"n":"%d.%d"`, i, n)):
					right.Add(1)
				case status >= 500 && strings.Contains(body, `"error":"States.`) && strings.Contains(body, `"cause"`):
					failed.Add(1)
				default:
					t.Errorf("request %s: %d %s, %v", input, status, body, err)
				}
			}
		})
	}
	kills := 0
	for _, w := range wraps {
		if w.Instance == 2 && w.Name == "wrap-1" {
			time.Sleep(200 * time.Millisecond)
			if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			kills++
		}
	}
	before := right.Load()
	eventually(t, 20*time.Second, func() error {
		if n := right.Load() - before; n < 50 {
			return fmt.Errorf("only %d right answers after the kill", n)
		}
		return nil
	})
	u.until(2)
	close(stop)
	callers.Wait()
	// Two requests are with an instance at most, of four in all.
	if n := failed.Load(); kills != 1 || n > 2 {
		t.Errorf("%d requests failed for %d killed instance, want at most 2", n, kills)
	}
	u.good("down", "p")
	u.gone()
}

// TestColdStartFails: who waits for an instance that does not come up is told
// why, and the next who is not wrong works.
func TestColdStartFails(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	flag := t.TempDir() + "/broken"
	s := u.up(scaled(t, fmt.Sprintf("import os\nif os.path.exists(%q):\n    raise RuntimeError('not today')\n", flag)+slowly), "--instances", "0..2", "--idle", "500ms")
	u.until(0)
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, body := post(t, s.url+"/function/p", `{"n": 1}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "not today") {
		t.Errorf("with a broken start: %d %s", status, body)
	}
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if status, body := post(t, s.url+"/function/p", `{"n": 1}`); status != 200 {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	u.good("down", "p")
	u.gone()
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(timeout(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

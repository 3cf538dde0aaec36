package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/programtest"
)

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	status, answer, err := try(t, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func try(t *testing.T, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(timeout(t), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// spread is a workflow over two wraps, with pool and fork processes: it adds 1,
// doubles and squares at the same time, and sums up.
func spread(t *testing.T) string {
	t.Helper()
	const code = `
import time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    n = event["n"]
    return {"n": %s, "sleep": event.get("sleep", 0)}
`
	return write(t, map[string]string{
		"chiron.yaml": "name: spread\ndefinition: workflow.asl.json\nfunctions:\n  inc: {handler: inc.py}\n  double: {handler: double.py}\n  square: {handler: square.py}\n  sum: {handler: sum.py}\n",
		"workflow.asl.json": `{"StartAt": "Inc", "States": {
  "Inc": {"Type": "Task", "Resource": "inc", "Next": "Both"},
  "Both": {"Type": "Parallel", "Next": "Sum", "Branches": [
    {"StartAt": "Double", "States": {"Double": {"Type": "Task", "Resource": "double", "End": true}}},
    {"StartAt": "Square", "States": {"Square": {"Type": "Task", "Resource": "square", "End": true}}},
    {"StartAt": "Again", "States": {"Again": {"Type": "Task", "Resource": "inc", "End": true}}}]},
  "Sum": {"Type": "Task", "Resource": "sum", "End": true}}}`,
		"inc.py":    fmt.Sprintf(code, "n + 1"),
		"double.py": fmt.Sprintf(code, "2 * n"),
		"square.py": fmt.Sprintf(code, "n * n"),
		"sum.py":    "def handler(event, context):\n    return {\"sum\": sum(e[\"n\"] for e in event)}\n",
		"plan.json": `{"apiVersion": "chiron/v1", "workflow": "spread", "model": "test", "wraps": [
  {"name": "wrap-1", "cpus": 1, "processes": [{"mode": "pool", "tasks": ["Inc", "Sum"]}, {"mode": "fork", "tasks": ["Double"]}]},
  {"name": "wrap-2", "cpus": 1, "processes": [{"mode": "pool", "tasks": ["Square"]}, {"mode": "fork", "tasks": ["Again"]}]}]}`,
	})
}

// want of spread: m = n+1; 2m + m² + m+1.
func want(n int) string {
	m := n + 1
	return fmt.Sprintf(`{"sum":%d}`, 2*m+m*m+m+1)
}

func TestConcurrentRequests(t *testing.T) {
	u := newUser(t)
	s := u.up(spread(t))
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			status, body, err := try(t, s.url+"/function/spread", fmt.Sprintf(`{"n": %d}`, n))
			if err != nil || status != 200 || body != want(n) {
				t.Errorf("n=%d: %d %s, %v, want %s", n, status, body, err, want(n))
			}
		})
	}
	all.Wait()
}

// TestThroughGateway: where a plan says so, every task is a call of the gateway,
// and requests inside are finished when it is told to end.
func TestThroughGateway(t *testing.T) {
	u := newUser(t)
	dir := spread(t)
	file := filepath.Join(dir, "plan.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	through := strings.Replace(string(text), `"model": "test",`, `"model": "test", "calls": "gateway",`, 1)
	if err := os.WriteFile(file, []byte(through), 0o600); err != nil {
		t.Fatal(err)
	}
	s := u.up(dir)
	const requests = 20
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			status, body, err := try(t, s.url+"/function/spread", fmt.Sprintf(`{"n": %d}`, n))
			if err != nil || status != 200 || body != want(n) {
				t.Errorf("n=%d: %d %s, %v, want %s", n, status, body, err, want(n))
			}
		})
	}
	all.Wait()
	var routes []struct {
		Name  string `json:"name"`
		Count int    `json:"invocationCount"`
	}
	if err := json.Unmarshal([]byte(get(t, s.url+"/system/functions")), &routes); err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]int)
	for _, r := range routes {
		calls[r.Name] = r.Count
	}
	for _, task := range []string{"Inc", "Double", "Square", "Again", "Sum"} {
		if n := calls["spread-"+task]; n != requests {
			t.Errorf("the gateway counts %d calls of %s, want %d: %v", n, task, requests, calls)
		}
	}
	// A failure keeps its name on the way through.
	if status, body := post(t, s.url+"/function/spread", `{"m": 1}`); status != 500 || !strings.Contains(body, "States.TaskFailed") {
		t.Errorf("%d %s", status, body)
	}
	answered := make(chan string, 1)
	go func() {
		status, body, err := try(t, s.url+"/function/spread", `{"n": 1, "sleep": 0.5}`)
		answered <- fmt.Sprint(status, " ", body, " ", err)
	}()
	time.Sleep(300 * time.Millisecond) // it is inside, with calls to come
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != "200 "+want(1)+" <nil>" {
		t.Errorf("a request that was inside: %s", got)
	}
	<-s.ended
	u.gone()
}

// members are the pids of a deployment's processes, by what they are.
func (u *user) members(t *testing.T) map[string][]int {
	t.Helper()
	var status []struct {
		Wraps []struct{ PID int }
	}
	if err := json.Unmarshal([]byte(u.good("ps", "--output", "json")), &status); err != nil || len(status) != 1 {
		t.Fatalf("ps: %+v, %v", status, err)
	}
	agents := make(map[int]bool)
	found := make(map[string][]int)
	for _, w := range status[0].Wraps {
		agents[w.PID] = true
		found["agent"] = append(found["agent"], w.PID)
	}
	for pid, command := range u.processes() {
		if !strings.Contains(command, "chiron_host") {
			continue
		}
		kind := "worker"
		if agents[parent(pid)] {
			kind = "zygote"
		}
		found[kind] = append(found[kind], pid)
	}
	return found
}

// TestKills: kill -9 of any process of a wrap, between requests and during one,
// costs at most the requests that were inside; the next one succeeds within a
// second.
func TestKills(t *testing.T) {
	u := newUser(t)
	s := u.up(spread(t))
	url := s.url + "/function/spread"
	works := func() error {
		status, body, err := try(t, url, `{"n": 1}`)
		if err == nil && (status != 200 || body != want(1)) {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	}
	if err := works(); err != nil {
		t.Fatal(err)
	}
	// What dies within a second of its start is restarted more slowly.
	const settles = 1100 * time.Millisecond
	for _, kind := range []string{"worker", "zygote", "agent"} {
		for _, during := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s during=%v", kind, during), func(t *testing.T) {
				eventually(t, 15*time.Second, works)
				time.Sleep(settles)
				pids := u.members(t)[kind]
				if len(pids) < 2 {
					t.Fatalf("%d processes of that kind: %v", len(pids), u.processes())
				}
				for i, pid := range pids {
					if i > 0 {
						time.Sleep(settles)
					}
					var inside sync.WaitGroup
					if during {
						inside.Go(func() {
							// Failing is its right; hanging is not.
							if _, _, err := try(t, url, `{"n": 1, "sleep": 0.3}`); err != nil {
								t.Errorf("the request inside got no answer: %v", err)
							}
						})
						time.Sleep(400 * time.Millisecond) // Inc sleeps, then all of the stage
					}
					if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
					took := eventually(t, 15*time.Second, works)
					t.Logf("kill -9 of %s %d: an answer after %v", kind, pid, took.Round(time.Millisecond))
					if took > time.Second && !raceEnabled {
						t.Errorf("the next request succeeded after %v", took)
					}
					inside.Wait()
				}
			})
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		s := u.up(spread(t))
		post(t, s.url+"/function/spread", `{"n": 1}`)
		u.good("down", "spread")
		<-s.ended
		u.gone()
	})
	t.Run("Ctrl-C of up", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		s := u.up(spread(t))
		if err := s.command.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-s.ended
		if code := s.command.ProcessState.ExitCode(); code != 0 && code != 130 {
			t.Errorf("exit code %d\n%s", code, s.errors)
		}
		u.gone()
	})
	t.Run("Ctrl-C of run", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		c := u.command("run", example(t, "finra-5"), "--calibration", calibration(), "--requests", "100000")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 2*time.Minute, func() error {
			for _, command := range u.processes() {
				if strings.Contains(command, programtest.Agent+" ") {
					return nil
				}
			}
			return fmt.Errorf("no wrap runs yet")
		})
		time.Sleep(300 * time.Millisecond)
		if err := c.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Error("a run that was interrupted ended as if it were done")
		}
		u.gone()
	})
	t.Run("kill -9 of chiron", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		dir := spread(t)
		s := u.up(dir)
		post(t, s.url+"/function/spread", `{"n": 1}`)
		if err := s.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.ended
		u.gone()
		if got := u.good("ps"); !strings.Contains(got, "dead") {
			t.Errorf("ps: %s", got)
		}
		// The remains do not stand in the way.
		again := u.up(dir)
		if status, body := post(t, again.url+"/function/spread", `{"n": 2}`); status != 200 || body != want(2) {
			t.Errorf("%d %s", status, body)
		}
	})
}

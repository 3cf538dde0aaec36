package netem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/workflows"
	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/netns"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/chiron-faas/chiron/wrap"
)

// machines are linked, or the test is skipped.
func machines(t *testing.T) *Link {
	t.Helper()
	for _, program := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v (apt-get install iproute2)", err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root makes networks")
	}
	l, err := NewLink(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if !l.Kernel {
		t.Log("the kernel has no sch_netem: a relay delays and loses packets")
	}
	return l
}

func client(n *netns.Namespace) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return n.Dial(ctx, network, address)
		},
	}}
}

// start runs a wrap on a machine.
func start(t *testing.T, n *netns.Namespace, agent string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(agent, append(args, "--leash")...)
	cmd.Stderr = &log
	leash, err := cmd.StdinPipe()
	if err == nil {
		err = n.Do(cmd.Start)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = leash.Close() // the wrap ends with it
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("wrap %v: %v\n%s", args, err, log.Bytes())
		}
	})
}

func ready(t *testing.T, c *http.Client, address string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		resp, err := c.Get("http://" + address + "/_/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready: %v", address, err)
		}
	}
}

// divided puts the first of a workflow's tasks and every second of the others into
// wrap 1.
func divided(p *workflow.Project) *plan.Plan {
	process := func(tasks []string) []plan.Process {
		return []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: tasks}}
	}
	var tasks [2][]string
	for n, task := range p.Definition.Tasks() {
		tasks[n%2] = append(tasks[n%2], task.Name)
	}
	return &plan.Plan{Workflow: p.Name, Model: "test", Wraps: []plan.Wrap{
		{Name: "wrap-1", CPUs: 1, Processes: process(tasks[0])}, {Name: "wrap-2", CPUs: 1, Processes: process(tasks[1])},
	}}
}

// TestTwoMachines has FINRA-5 on two machines. Its answers are right whatever the
// network does; what calls cost is seen, calibrated by, and changes the plan.
func TestTwoMachines(t *testing.T) {
	l := machines(t)
	chiron, agent := programtest.BuildBoth(t)
	dir := t.TempDir()
	p, err := workflows.Write("finra-5", filepath.Join(dir, "p"), services.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	check, err := workflows.NewChecker("finra-5")
	if err != nil {
		t.Fatal(err)
	}
	python, err := host.FindInterpreter(t.Context(), "python", "")
	if err != nil {
		t.Fatal(err)
	}
	bundles, err := bundle.Build(t.Context(), bundle.Options{
		Project: p, Plan: divided(p), OutDir: filepath.Join(dir, "bundles"),
		Interpreter: func(context.Context, string, string) (string, error) { return python.Path, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	one, two := net.JoinHostPort(AddressA, "8080"), net.JoinHostPort(AddressB, "8080")
	start(t, l.B, agent, bundles[1].Dir, "--listen", two)
	start(t, l.A, agent, bundles[0].Dir, "--listen", one, "--peer", "wrap-2="+two)
	a := client(l.A)
	ready(t, client(l.B), two)
	ready(t, a, one)

	requests := func(n int) {
		t.Helper()
		for range n {
			resp, err := a.Post("http://"+one+"/", "application/json", bytes.NewReader(p.Input))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d, %v: %s", resp.StatusCode, err, answer)
			}
			if err := check.Check(answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	calibration := filepath.Join(dir, "calibration.json")
	if err := constants(python.Version).Write(calibration); err != nil {
		t.Fatal(err)
	}
	// recalibrated is T_RPC as it is seen, and the plan that is found with it.
	recalibrated := func() (time.Duration, *plan.Plan) {
		t.Helper()
		cmd := exec.Command(chiron, "calibrate", "--from", "http://"+one, "--calibration", calibration)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := l.A.Do(cmd.Run); err != nil {
			t.Fatalf("%v: %s", err, out.Bytes())
		}
		c, err := predict.ReadCalibration(calibration)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", out.Bytes())
		return c.RPC, fastest(t, c)
	}

	const few = 40
	requests(few)
	fast, before := recalibrated()
	// Slow requests are so many that the middle half of all are theirs.
	slow := Conditions{Delay: 15 * time.Millisecond, Loss: 0.01}
	if err := l.Set(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	requests(5 * few)
	after, then := recalibrated()
	if least := 2 * slow.Delay; after < least || after-fast < least-fast {
		t.Errorf("T_RPC is %v over a network that takes %v there and back, and was %v", after, least, fast)
	}
	if len(before.Wraps) < 2 || len(then.Wraps) != 1 {
		t.Errorf("with T_RPC %v:\n%s\nwith %v:\n%s", fast, before.Tree(100), after, then.Tree(100))
	}
	var s wrap.Stats
	resp, err := a.Get("http://" + one + "/_/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || len(s.Peers) != 1 || s.Peers[0].Wrap != "wrap-2" || s.Peers[0].Calls < 6*few {
		t.Errorf("%+v, %v", s.Peers, err)
	}
}

// constants are no machine's but for T_RPC, which is to be seen: collecting the
// result of a process is dear, so that wraps of their own are worth a fast call.
func constants(version string) *predict.Calibration {
	return &predict.Calibration{
		Machine: profile.ThisMachine(), Created: time.Now().UTC().Truncate(time.Second), Version: version,
		Request: 300 * time.Microsecond, Dispatch: 100 * time.Microsecond, ThreadStart: 100 * time.Microsecond,
		Startup: 20 * time.Millisecond, Block: 10 * time.Millisecond, IPC: 4 * time.Millisecond,
		INV: 100 * time.Microsecond, SwitchInterval: predict.DefaultSwitchInterval, Spread: []float64{1, 1},
	}
}

// fastest is the plan with the lowest latency of eight functions that compute for
// 30 ms beside each other: in one wrap 30 + 7·T_IPC, in two 30 + 3·T_IPC + T_RPC.
func fastest(t *testing.T, c *predict.Calibration) *plan.Plan {
	t.Helper()
	var branches predicttest.Par
	var behaviour []string
	for n := range 8 {
		branches = append(branches, fmt.Sprintf("f%d", n))
		behaviour = append(behaviour, fmt.Sprintf("f%d: cpu 30", n))
	}
	r, err := pgp.Search(t.Context(), pgp.Problem{
		Workflow: "w", Definition: predicttest.Define(t, branches), Profile: predicttest.Behave(t, strings.Join(behaviour, ", ")),
		Calibration: c, Goal: plan.LowestLatency,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Plan
}

// TestLink: packets take their time, and some are lost.
func TestLink(t *testing.T) {
	l := machines(t)
	server, err := l.B.Listen("tcp4", net.JoinHostPort(AddressB, "7"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	defer func() { _ = server.Close(); <-done }()
	echo := func(bytes int) time.Duration {
		t.Helper()
		begin := time.Now()
		c, err := l.A.Dial(t.Context(), "tcp4", net.JoinHostPort(AddressB, "7"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sent := []byte(strings.Repeat("x", bytes))
		go func() { _, _ = c.Write(sent) }()
		if _, err := io.ReadFull(c, make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	echo(1 << 20)
	if err := l.Set(t.Context(), Conditions{Delay: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if took := echo(1); took < 80*time.Millisecond { // a connection and an echo, there and back
		t.Errorf("a link of 20 ms took %v", took)
	}
	if err := l.Set(t.Context(), Conditions{Delay: time.Millisecond, Loss: 0.05}); err != nil {
		t.Fatal(err)
	}
	echo(1 << 18)
}

package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/targettest"
	"github.com/chiron-faas/chiron/internal/procfs"
)

func newTarget(t *testing.T, dir string, groups bool) *Target {
	t.Helper()
	target, err := New(Options{Agent: agentFile, Dir: dir, NoCgroups: !groups, Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func upFor(t *testing.T, target *Target, d deploy.Deployment) deploy.Running {
	t.Helper()
	r, err := target.Up(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestEveryUpHasGroups: the groups' common folder goes with the last deployment;
// the next one of the same target has its groups all the same.
func TestEveryUpHasGroups(t *testing.T) {
	target := newTarget(t, shortDir(t), true)
	var first []string
	for i := range 2 {
		r := upFor(t, target, deployment(t, "again", ""))
		names := groupsBelow(target.hierarchies, "again")
		if i == 0 {
			if first = names; len(first) == 0 {
				t.Skip("no control groups are permitted here: " + target.noGroups)
			}
		}
		if fmt.Sprint(names) != fmt.Sprint(first) {
			t.Errorf("groups %v, at the first time %v", names, first)
		}
		if err := r.Down(t.Context()); err != nil {
			t.Error(err)
		}
		if names := groupsBelow(target.hierarchies, "again"); len(names) > 0 {
			t.Errorf("left after down: %v", names)
		}
	}
}

// TestDownOfDead: a follower's wait ends with a keeper that is killed, and Down
// then leaves neither files nor control groups.
func TestDownOfDead(t *testing.T) {
	dir := shortDir(t)
	keeper := startKeeper(t, dir, "orphan")
	target := newTarget(t, dir, true)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		ended <- target.Logs(ctx, "orphan", deploy.LogOptions{Follow: true}, func(deploy.LogLine) error { return nil })
	}()
	if err := keeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = keeper.Wait() // killed
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("following goes on after the keeper was killed")
	}
	if err := target.Down(t.Context(), "orphan"); err != nil {
		t.Error(err)
	}
	if names := groupsBelow(target.hierarchies, "orphan"); len(names) > 0 {
		t.Errorf("control groups left: %v", names)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left in the state folder: %v, %v", entries, err)
	}
}

// TestLookingLeavesNothing: asking about a deployment makes no file.
func TestLookingLeavesNothing(t *testing.T) {
	dir := shortDir(t)
	target := newTarget(t, dir, true)
	if target.held("nobody") {
		t.Error("a deployment that there is not is held")
	}
	for _, h := range target.hierarchies {
		if _, err := os.Stat(h.parent); err == nil {
			t.Errorf("%s was left", h.parent)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left in the state folder: %v, %v", entries, err)
	}
}

// TestEscape: what a function started in a session of its own goes with a wrap
// whose agent was killed, with control groups and without.
func TestEscape(t *testing.T) {
	for _, groups := range []bool{true, false} {
		t.Run(fmt.Sprintf("cgroups=%v", groups), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			code := fmt.Sprintf(`
import subprocess
plain = handler
def handler(event, context):
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    with open(%q, "w") as f:
        f.write(str(child.pid))
    return plain(event, context)
`, file)
			r := upFor(t, newTarget(t, shortDir(t), groups), deployment(t, "escape", code))
			if status, body, err := targettest.Invoke(t.Context(), r.Workflow(), `{"n":1}`); err != nil || status != 200 {
				t.Fatalf("%d %q, %v", status, body, err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(string(text))
			if err != nil {
				t.Fatal(err)
			}
			child, err := identify(pid)
			if err != nil {
				t.Fatal(err)
			}
			before, err := r.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(before.Wraps[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			var now deploy.WrapStatus
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				s, err := r.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if now = s.Wraps[0]; now.Restarts == 1 && now.State == deploy.WrapReady {
					break
				}
			}
			if now.State != deploy.WrapReady || now.LastError != "signal: killed" {
				t.Errorf("wrap %+v, want ready again after \"signal: killed\"", now)
			}
			if s, err := procfs.ReadStat(pid); err == nil && s.Start == child.Start && !s.Dead() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Error("the function's child lives on")
			}
		})
	}
}

// TestNothingWasStarted: an Up that fails before it starts anything leaves
// nothing either.
func TestNothingWasStarted(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("x", 90))
	target := newTarget(t, dir, true)
	if _, err := target.Up(t.Context(), deployment(t, "long", "")); err == nil || !strings.Contains(err.Error(), "choose a shorter state folder") {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left in the state folder: %v, %v", entries, err)
	}
}

// TestTwoStateFolders: deployments of one name in two state folders have nothing
// to do with each other.
func TestTwoStateFolders(t *testing.T) {
	one, two := newTarget(t, shortDir(t), true), newTarget(t, shortDir(t), true)
	stays := upFor(t, one, deployment(t, "same-name", ""))
	before, err := stays.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := upFor(t, two, deployment(t, "same-name", ""))
	if err := other.Down(t.Context()); err != nil {
		t.Error(err)
	}
	after, err := stays.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range after.Wraps {
		if w.Restarts != 0 || w.PID != before.Wraps[i].PID || w.Processes != before.Wraps[i].Processes {
			t.Errorf("wrap %+v, before the other came and went %+v", w, before.Wraps[i])
		}
	}
}

package proc

import (
	"io"
	"os"
	"os/exec"
	"testing"
)

// TestHeld: a child and its child are both counted, and what they hold.
func TestHeld(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & echo ready; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		below, err := tree([]int{cmd.Process.Pid})
		if err != nil {
			t.Error(err)
		}
		for _, pid := range below {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = cmd.Wait()
	}()
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	h, err := Held(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if h.Processes != 2 || h.Memory <= 0 || h.Descriptors < 4 {
		t.Errorf("held %+v, want two processes with memory and standard files each", h)
	}
	all, err := Held(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if all.Processes < 3 || all.Memory <= h.Memory {
		t.Errorf("this process and all below hold %+v, its child's %+v among them", all, h)
	}
	if none, err := Held(1 << 30); err != nil || none != (Holding{}) {
		t.Errorf("a process that is not there holds %+v, %v", none, err)
	}
}

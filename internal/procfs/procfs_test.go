package procfs

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 5 0 123456 1 1\n"
	want := Stat{PID: 42, State: 'S', Parent: 7, Group: 43, Session: 41, CPU: 330 * time.Millisecond, ChildrenCPU: 770 * time.Millisecond, Threads: 5, Start: 123456}
	for _, name := range []string{"a", "a b", ")", "((", "a) R 1 2 3", "", "a\nb", ") (x) ("} {
		if got, err := ParseStat([]byte("42 (" + name + ") S 7 43 41" + rest)); err != nil || got != want {
			t.Errorf("a process called %q: %+v, %v, want %+v", name, got, err, want)
		}
	}
	for name, bad := range map[string]string{
		"nothing":        "",
		"no name":        "42",
		"half a name":    "42 (a",
		"few fields":     "42 (a) S 7 43 41 0",
		"no pid":         "x (a) S 7 43 41" + rest,
		"a long state":   "42 (a) SS 7 43 41" + rest,
		"no letter":      "42 (a) 7 7 43 41" + rest,
		"no parent":      "42 (a) S x 43 41" + rest,
		"no start":       "42 (a) S 7 43 41" + strings.Replace(rest, "123456", "-1", 1),
		"a negative one": "42 (a) S 7 43 41" + strings.Replace(rest, "11", "-11", 1),
		"beyond all":     "42 (a) S 7 43 41" + strings.Replace(rest, "11", "9223372036854775807", 1),
	} {
		if got, err := ParseStat([]byte(bad)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b (c)) S 7 43 41 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 5 0 123456 1 1\n"))
	f.Add([]byte("1 () R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0"))
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseStat(data)
		if err != nil {
			if s != (Stat{}) {
				t.Errorf("%+v beside the error %v", s, err)
			}
			return
		}
		// What was read says the same when it is written again, whatever the name.
		for _, name := range []string{"a", ") Z 1 (", " "} {
			line := fmt.Sprintf("%d (%s) %c %d %d %d 0 0 0 0 0 0 0 %d 0 %d 0 0 0 %d 0 %d\n", s.PID, name, s.State, s.Parent, s.Group, s.Session, s.CPU/tick, s.ChildrenCPU/tick, s.Threads, s.Start)
			if again, err := ParseStat([]byte(line)); err != nil || again != s {
				t.Errorf("%q is read as %+v, written as %q, and read as %+v, %v", data, s, line, again, err)
			}
		}
		if s.CPU < 0 || s.ChildrenCPU < 0 {
			t.Errorf("%q took less than no time: %+v", data, s)
		}
	})
}

// TestOwn reads this process and a child of it, which dies.
func TestOwn(t *testing.T) {
	own, err := ReadStat(os.Getpid())
	if err != nil || own.PID != os.Getpid() || own.Parent != os.Getppid() || own.Start == 0 || own.Threads < 1 || own.Dead() {
		t.Errorf("%+v, %v", own, err)
	}
	if thread, err := ReadThreadStat(os.Getpid(), os.Getpid()); err != nil || thread.PID != os.Getpid() || thread.Start != own.Start {
		t.Errorf("the main thread: %+v, %v", thread, err)
	}
	m, err := ReadMemory(os.Getpid())
	if err != nil || m.PSS <= 0 || m.Private <= 0 || m.RSS < m.PSS || m.PSS < m.Private {
		t.Errorf("%+v, %v", m, err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pid := cmd.Process.Pid
	if got := Children(os.Getpid()); !slices.Contains(got, pid) {
		t.Errorf("children %v, want %d among them", got, pid)
	}
	all, err := Processes()
	if err != nil || !slices.ContainsFunc(all, func(s Stat) bool { return s.PID == pid && s.Parent == os.Getpid() }) {
		t.Errorf("%d is not among %d processes: %v", pid, len(all), err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // not waited for: dead
		if s, err := ReadStat(pid); err == nil && s.Dead() {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a killed process is not dead")
		}
	}
	_ = cmd.Wait() // it was killed
	if s, err := ReadStat(pid); err == nil && s.Parent == os.Getpid() {
		t.Errorf("a process that was waited for is %+v", s)
	}
	if _, err := ReadMemory(1 << 23); err == nil { // beyond PID_MAX_LIMIT
		t.Error("the memory of nobody")
	}
}

func TestSizes(t *testing.T) {
	text := "00400000-7fff rollup\nRss:       12 kB\nPss:        5 kB\nPss_Anon:  3 kB\n"
	if got, err := Sizes([]byte(text), "Pss", "Rss"); err != nil || !slices.Equal(got, []int64{5 << 10, 12 << 10}) {
		t.Errorf("%v, %v", got, err)
	}
	for name, text := range map[string]string{"missing": "Rss: 1 kB\n", "no number": "Rss: 1 kB\nPss: x kB\n", "too large": "Rss: 1 kB\nPss: 9223372036854775807 kB\n"} {
		if got, err := Sizes([]byte(text), "Rss", "Pss"); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

package strace

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"

	"github.com/google/go-cmp/cmp"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// oneCall is a thread (1) that serves one call on its lane (descriptor 3) and
// another thread (2). Each call costs 10 µs inside and 30 µs outside: what
// only reads takes 10 µs, and 40 µs lie between two of them, 10 µs of which
// are the handler's.
const oneCall = `1 100.000000 recvfrom(3<socket:[9]>,  <unfinished ...>
2 100.000000 futex(0x7f, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
1 100.100000 <... recvfrom resumed>""..., 65536, 0, NULL, NULL) = 40 <0.100000>
1 100.100050 clock_gettime(CLOCK_THREAD_CPUTIME_ID, {tv_sec=0, tv_nsec=1}) = 0 <0.000010>
1 100.100100 lseek(5</w/a>, 0, SEEK_CUR) = 0 <0.000010>
1 100.100150 clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=1, tv_nsec=2}, NULL) = 0 <0.005010>
1 100.106160 clock_gettime(CLOCK_THREAD_CPUTIME_ID, {tv_sec=0, tv_nsec=2}) = 0 <0.000010>
1 100.106210 sendto(3<socket:[9]>, ""..., 20, 0, NULL, 0) = 20 <0.000050>
1 100.106300 write(5</w/a>, ""..., 10) = 10 <0.000110>
1 100.106450 clock_gettime(CLOCK_THREAD_CPUTIME_ID, {tv_sec=0, tv_nsec=3}) = 0 <0.000010>
1 100.106500 sendto(3<socket:[9]>, ""..., 90, 0, NULL, 0) = 90 <0.000040>
1 100.106600 recvfrom(3<socket:[9]>,  <detached ...>
`

func parsed(t *testing.T, text string) []record {
	t.Helper()
	calls, unread := parse([]byte(text))
	if unread > 0 {
		t.Fatalf("%d lines of the test's trace cannot be read", unread)
	}
	return calls
}

func TestCut(t *testing.T) {
	runs, err := cut(parsed(t, oneCall), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 1 {
		t.Fatalf("got %d runs, want 1", len(runs))
	}
	r := runs[0]
	// From the end of the host's first reading of the clock to the start of
	// its last: the handler's own reading, and what it printed, lie between.
	if r.start != 100*time.Second+100060*us || r.end != 100*time.Second+106450*us {
		t.Errorf("the handler ran from %v to %v", r.start, r.end)
	}
	var names []string
	for _, c := range r.calls {
		names = append(names, c.name)
	}
	if diff := cmp.Diff([]string{"lseek", "clock_nanosleep", "clock_gettime", "sendto", "write"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestCutSeveralCalls(t *testing.T) {
	receive := `1 %d.000000 recvfrom(3, "", 65536, 0, NULL, NULL) = %d <0.000010>` + "\n"
	send := `1 %d.500000 sendto(3, "", 9, 0, NULL, 0) = 9 <0.000010>` + "\n"
	other := `1 %d.600000 recvfrom(8, "", 10, 0, NULL, NULL) = 5 <0.000010>` + "\n"
	text := fmt.Sprintf(receive, 1, 65536) + fmt.Sprintf(receive, 2, 10) + // a long body
		fmt.Sprintf(send, 2) + // reply 1
		fmt.Sprintf(receive, 3, 40) +
		fmt.Sprintf(other, 3) + // the handler's own socket
		fmt.Sprintf(send, 4) + // a log line
		fmt.Sprintf(send, 5) + // reply 2
		fmt.Sprintf(receive, 6, 40) + // its reply is not in the trace
		fmt.Sprintf(receive, 7, 0)
	runs, err := cut(parsed(t, text), 1)
	if err != nil {
		t.Fatal(err)
	}
	type span struct{ from, to time.Duration }
	var got []span
	for _, r := range runs {
		got = append(got, span{r.start, r.end})
	}
	// Without readings of the clock: from the receive to the last send.
	want := []span{
		{2*time.Second + 10*us, 2500 * ms},
		{3*time.Second + 10*us, 5500 * ms},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
	if _, err := cut(parsed(t, text), 99); err == nil {
		t.Error("a thread that is not there was cut")
	}
}

func TestSegments(t *testing.T) {
	runs, err := cut(parsed(t, oneCall), 1)
	if err != nil {
		t.Fatal(err)
	}
	got := runs[0].segments(cost{inside: 10 * us, outside: 30 * us})
	want := []profile.Segment{
		// 100060 … 100150 µs: 90, less lseek's 40 and one outside of 30.
		{Class: profile.CPU, Took: 20 * us},
		{Class: profile.Block, Cause: "clock_nanosleep", Took: 5 * ms},
		// 105160 … 106210: 1050, less clock_gettime's 40 and 30.
		{Class: profile.CPU, Took: 980 * us},
		{Class: profile.Block, Cause: "sendto", Took: 40 * us, Partly: true},
		// 106260 … 106300: 40, less 30.
		{Class: profile.CPU, Took: 10 * us},
		{Class: profile.Block, Cause: "write", Took: 100 * us, Partly: true},
		// 106410 … 106450.
		{Class: profile.CPU, Took: 10 * us},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCostOf(t *testing.T) {
	// 100 calls that take 10 µs, 45 µs apart.
	busy := run{start: 0}
	for i := range 100 {
		busy.calls = append(busy.calls, record{name: "lseek", start: time.Duration(i)*55*us + 45*us, took: 10 * us})
	}
	busy.end = 100*55*us + 45*us
	for name, test := range map[string]struct {
		runs             []run
		traced, untraced time.Duration
		want             cost
	}{
		// 4 ms more in 100 calls: 40 µs each, 10 of them inside.
		"known": {[]run{busy}, 6 * ms, 2 * ms, cost{10 * us, 30 * us}},
		// The gaps bound what lies in them.
		"bounded by gaps": {[]run{busy}, 60 * ms, 2 * ms, cost{10 * us, 45 * us}},
		// A traced run that was faster costs nothing.
		"faster": {[]run{busy}, 1 * ms, 2 * ms, cost{}},
		"few": {
			[]run{{end: 20 * ms, calls: []record{{name: "nanosleep", start: 1 * ms, took: 10 * ms}}, clocks: []time.Duration{9 * us, 11 * us}}},
			21 * ms, 20 * ms,
			cost{9 * us, 100 * us},
		},
		"none": {[]run{{end: 1 * ms}}, 2 * ms, 1 * ms, cost{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := costOf(test.runs, test.traced, test.untraced); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestFilesOf(t *testing.T) {
	line := func(at int, call string) string { return fmt.Sprintf("1 %d.000000 %s <0.000010>\n", at, call) }
	text := line(1, `openat(AT_FDCWD</w>, "early", O_WRONLY|O_CREAT, 0666) = 5</w/early>`) +
		// The first call, from 2 on.
		line(2, `openat(AT_FDCWD</w>, "once", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 5</w/once>`) +
		line(2, `openat(AT_FDCWD</w>, "a", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 5</w/a>`) +
		line(2, `openat(AT_FDCWD</w>, "read", O_RDONLY|O_CLOEXEC) = 5</w/read>`) +
		line(2, `openat(AT_FDCWD</w>, "no", O_RDWR) = -1 ENOENT (No such file or directory)`) +
		line(2, `openat(AT_FDCWD</w>, "/tmp/tmp123", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</tmp/tmp123>`) +
		line(2, `openat(AT_FDCWD</w>, "/tmp", O_RDWR|O_EXCL|O_TMPFILE, 0600) = 5</tmp/#12 (deleted)>`) +
		line(2, `rename("/tmp/tmp123", "moved") = 0`) +
		line(2, `openat(AT_FDCWD</w>, "gone", O_WRONLY|O_CREAT, 0600) = 5</w/gone>`) +
		line(2, `unlink("gone") = 0`) +
		line(2, `unlinkat(AT_FDCWD</w>, "old", 0) = 0`) +
		line(2, `openat(AT_FDCWD</w>, "/dev/null", O_RDWR) = 6</dev/null<char 1:3>>`) +
		line(2, `mkdirat(7</w/d>, "sub\40dir\"", 0777) = 0`) +
		line(2, `symlink("target", "link") = 0`) +
		// The second call, from 5 on.
		line(5, `creat("a", 0600) = 5</w/a>`) +
		line(6, `openat(AT_FDCWD</w>, "/tmp/tmp456", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</tmp/tmp456>`) +
		line(7, `openat(AT_FDCWD</w>, "/tmp/lock", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</tmp/lock>`) +
		line(7, `unlink("/tmp/lock") = 0`) +
		// The third.
		line(9, `openat(AT_FDCWD</w>, "/tmp/lock", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</tmp/lock>`)
	got := filesOf(parsed(t, text), []time.Duration{2 * time.Second, 5 * time.Second, 8 * time.Second}, "/w")
	want := []string{"/tmp/lock", "/w/a", `/w/d/sub dir"`, "/w/link", "/w/moved", "/w/old", "/w/once"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCauseOfRestart(t *testing.T) {
	c := record{name: "restart_syscall", args: "<... resuming interrupted clock_nanosleep ...>"}
	if got := c.cause(); got != "clock_nanosleep" {
		t.Errorf("got %q", got)
	}
	c.args = "<... resuming interrupted system call ...>"
	if got := c.cause(); got != "system" && got != "restart_syscall" {
		t.Errorf("got %q", got)
	}
}

func TestObserve(t *testing.T) {
	target := profile.Target{PID: 1, TID: 1, Dir: "/w"}
	call := profile.Call{Run: 6390 * us, CPU: 1 * ms}
	untraced := profile.Untraced{Wall: 6 * ms, CPU: 1 * ms}
	second := strings.ReplaceAll(oneCall[:strings.LastIndex(oneCall, "1 100.106600")], " 100.", " 200.")
	second = second[strings.Index(second, "1 200.1000"):]
	second = strings.Replace(second, "<... recvfrom resumed>", "recvfrom(3<socket:[9]>, ", 1)
	for name, test := range map[string]struct {
		text     string
		overflow bool
		calls    []profile.Call
		runs     int
		want     string // of the error
	}{
		"one":              {oneCall, false, []profile.Call{call}, 1, ""},
		"cold":             {oneCall + second, false, []profile.Call{{Run: time.Second, Cold: true}, call}, 1, ""},
		"only cold":        {oneCall, false, []profile.Call{{Cold: true}}, 0, ""},
		"no call":          {oneCall, false, nil, 0, "no call was made"},
		"fewer than calls": {oneCall, false, []profile.Call{call, call}, 0, "shows 1 calls where 2 were made"},
		"empty":            {"", false, []profile.Call{call}, 0, "no receive of thread 1"},
		"overflow":         {oneCall + second, true, []profile.Call{call, call, call}, 1, ""},
		"overflow of all":  {oneCall, true, []profile.Call{call}, 0, "none of the 1 calls whole"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := observe([]byte(test.text), test.overflow, target, test.calls, untraced)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Runs) != test.runs || !o.Complete || o.Resolution <= 0 {
				t.Errorf("got %+v, want %d runs", o, test.runs)
			}
			if test.overflow && len(o.Notes) == 0 {
				t.Error("an overflow is not noted")
			}
		})
	}
}

func attachable(t *testing.T) Tracer {
	t.Helper()
	if err := (Tracer{}).Available(t.Context()); err != nil {
		t.Skip(err)
	}
	return Tracer{}
}

func TestStartAndAbort(t *testing.T) {
	tracer := attachable(t)
	child := exec.Command("cat")
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = input.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("the traced process did not live on: %v", err)
		}
	}()
	target := profile.Target{PID: child.Process.Pid, TID: child.Process.Pid}
	tr, err := tracer.Start(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	pid := tr.(*trace).cmd.Process.Pid
	tr.Abort()
	tr.Abort()
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); !os.IsNotExist(err) {
		t.Errorf("strace (pid %d) is left: %v", pid, err)
	}
	// It let go: another may come.
	if tr, err = tracer.Start(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Stop(t.Context(), nil, profile.Untraced{}); err == nil {
		t.Error("no calls were cut into segments")
	}
	tr.Abort()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if tr, err := tracer.Start(ctx, target); err == nil {
		// It may have been quicker than the cancellation.
		tr.Abort()
	}
}

func TestStartFails(t *testing.T) {
	tracer := attachable(t)
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	_, err := tracer.Start(t.Context(), profile.Target{PID: child.Process.Pid})
	if err == nil || !strings.Contains(err.Error(), "cannot attach") {
		t.Errorf("a process that has ended: %v", err)
	}
	_, err = Tracer{Program: "/no/such/strace"}.Start(t.Context(), profile.Target{PID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "start strace") {
		t.Errorf("a program that is missing: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := tracer.Available(t.Context()); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("no strace in PATH: %v", err)
	}
}

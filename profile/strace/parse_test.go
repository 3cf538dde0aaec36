package strace

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var comparable = cmp.AllowUnexported(record{}, run{})

func TestParseLine(t *testing.T) {
	const at = 1795464349*time.Second + 614100*time.Microsecond
	for name, test := range map[string]struct {
		line  string
		want  record
		state lineState
	}{
		"finished": {
			`17736 1795464349.614100 close(5</tmp/x.txt>) = 0 <0.000011>`,
			record{17736, "close", "5</tmp/x.txt>", "0", at, 11 * time.Microsecond},
			finished,
		},
		"padded": {
			`7  1795464349.614100 close(5)                = 0 <0.000011>`,
			record{7, "close", "5", "0", at, 11 * time.Microsecond},
			finished,
		},
		"error": {
			`7 1795464349.614100 ioctl(5</tmp/x.txt>, TCGETS, 0x7f5d75999a60) = -1 ENOTTY (Inappropriate ioctl for device) <0.000010>`,
			record{7, "ioctl", "5</tmp/x.txt>, TCGETS, 0x7f5d75999a60", "-1 ENOTTY (Inappropriate ioctl for device)", at, 10 * time.Microsecond},
			finished,
		},
		"path that looks like an end": {
			`7 1795464349.614100 openat(AT_FDCWD</a b>, "x) = 3 <0.1>", O_RDONLY) = 5</a b/x) = 3 \740.1\76> <0.000096>`,
			record{7, "openat", `AT_FDCWD</a b>, "x) = 3 <0.1>", O_RDONLY`, `5</a b/x) = 3 \740.1\76>`, at, 96 * time.Microsecond},
			finished,
		},
		"escaped quote": {
			`7 1795464349.614100 unlink("a\")\\") = 0 <0.000002>`,
			record{7, "unlink", `"a\")\\"`, "0", at, 2 * time.Microsecond},
			finished,
		},
		"parentheses and shifts": {
			`7 1795464349.614100 capset({pid=0}, {a=1<<CAP_CHOWN|1<<CAP_KILL, b=makedev(0x1, 0x3)}) = 0 <0.000001>`,
			record{7, "capset", "{pid=0}, {a=1<<CAP_CHOWN|1<<CAP_KILL, b=makedev(0x1, 0x3)}", "0", at, time.Microsecond},
			finished,
		},
		"arrow": {
			`7 1795464349.614100 wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 9 <1.500000>`,
			record{7, "wait4", "-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL", "9", at, 1500 * time.Millisecond},
			finished,
		},
		"unfinished": {
			`7 1795464349.614100 recvfrom(3<socket:[29179]>,  <unfinished ...>`,
			record{tid: 7, name: "recvfrom", args: "3<socket:[29179]>,", start: at},
			unfinished,
		},
		"detached": {
			`7 1795464349.614100 read(0<pipe:[29176]>,  <detached ...>`,
			record{tid: 7, name: "read", args: "0<pipe:[29176]>,", start: at},
			unfinished,
		},
		"resumed": {
			`7 1795464349.614100 <... recvfrom resumed>""..., 10, 0, NULL, NULL) = 1 <0.393029>`,
			record{7, "recvfrom", `""..., 10, 0, NULL, NULL`, "1", at, 393029 * time.Microsecond},
			resumed,
		},
		"signal":     {`7 1795464349.614100 --- SIGCHLD {si_signo=SIGCHLD} ---`, record{tid: 7, start: at}, noCall},
		"exit":       {`7 1795464349.614100 +++ exited with 0 +++`, record{tid: 7, start: at}, noCall},
		"no return":  {`7 1795464349.614100 exit_group(0) = ?`, record{tid: 7, name: "exit_group", args: "0", result: "?", start: at}, noCall},
		"no thread":  {`close(5) = 0 <0.000011>`, record{}, unreadable},
		"no time":    {`7 close(5) = 0 <0.000011>`, record{tid: 7}, unreadable},
		"no end":     {`7 1795464349.614100 close(5 = 0 <0.000011>`, record{tid: 7, name: "close", start: at}, unreadable},
		"no length":  {`7 1795464349.614100 close(5) = 0`, record{tid: 7, name: "close", args: "5", result: "0", start: at}, unreadable},
		"no name":    {`7 1795464349.614100 (5) = 0 <0.1>`, record{tid: 7, start: at}, unreadable},
		"odd number": {`7 179546434900.614100 close(5) = 0 <0.1>`, record{tid: 7}, unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			got, state := parseLine(test.line)
			if state != test.state {
				t.Errorf("got state %d, want %d", state, test.state)
			}
			if diff := cmp.Diff(test.want, got, comparable); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseJoinsWhatThreadsInterrupt(t *testing.T) {
	text := strings.Join([]string{
		`1 100.000000 recvfrom(3<socket:[1]>,  <unfinished ...>`,
		`2 100.000010 futex(0x1, FUTEX_WAIT_PRIVATE <unfinished ...>`,
		`1 100.500000 <... recvfrom resumed>"", 10) = 4 <0.500000>`,
		`nonsense`,
		`3 100.600000 <... read resumed>"") = 1 <0.1>`, // began before strace came
		`2 100.700000 <... futex resumed>) = 0 <0.699990>`,
		`1 100.800000 read(5, `, // cut off
	}, "\n")
	got, unread := parse([]byte(text))
	want := []record{
		{1, "recvfrom", `3<socket:[1]>,"", 10`, "4", 100 * time.Second, 500 * time.Millisecond},
		{2, "futex", `0x1, FUTEX_WAIT_PRIVATE`, "0", 100*time.Second + 10*time.Microsecond, 699990 * time.Microsecond},
	}
	if diff := cmp.Diff(want, got, comparable); diff != "" {
		t.Error(diff)
	}
	if unread != 2 {
		t.Errorf("%d lines were not read, want 2", unread)
	}
}

func TestParseSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0.000000": 0, "1.5": 1500 * time.Millisecond, "12.000345": 12*time.Second + 345*time.Microsecond, "0.000000001": 1,
		"9999999999.9": -1, "1": -1, "-1.0": -1, "1.-1": -1, ".5": -1, "1.0000000001": -1, "1.": 1 * time.Second,
	} {
		got, ok := parseSeconds(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(oneCall))
	f.Add([]byte("1 1.0 a(\n1 1.0 a(\"\\\n1 1.0 a(5<\n"))
	f.Add([]byte("1 1.0 restart_syscall(<... resuming interrupted read ...>) = 0 <0.1>\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		calls, unread := parse(data)
		if len(calls)+unread > strings.Count(string(data), "\n") {
			t.Fatalf("%d calls and %d unreadable lines out of fewer", len(calls), unread)
		}
		for i := range calls {
			if calls[i].took < 0 || calls[i].start < 0 || calls[i].end() < calls[i].start {
				t.Fatalf("negative time: %+v", calls[i])
			}
			calls[i].fd()
			calls[i].cause()
		}
		// Whatever the text, what comes after it does not fail.
		filesOf(calls, []time.Duration{0}, "/")
		runs, err := cut(calls, 1)
		if err != nil {
			return
		}
		k := costOf(runs, time.Second, time.Millisecond)
		for _, r := range runs {
			for _, s := range r.segments(k) {
				if s.Took < 0 {
					t.Fatalf("negative segment: %+v", s)
				}
			}
		}
	})
}

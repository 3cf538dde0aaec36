package syscalls

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseState(t *testing.T) {
	for text, want := range map[string]State{
		"running\n":                     Running,
		"202 0x7f 0x80 0x0 0x0 0x0 0 0": 202,
		"-1 0x7ffc 0x7f12\n":            Fault,
		"":                              Unknown,
		"nonsense":                      Unknown,
		"99999 0x0":                     Unknown,
		"-7 0x0":                        Unknown,
	} {
		if got := parseState([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// A thread that waits is told from one that computes, by the kernel's own file.
func TestTask(t *testing.T) {
	task := OpenTask(os.Getpid(), os.Getpid())
	defer task.Close()
	if was := task.Read(); was == Unknown {
		t.Skip("this machine does not say what our own threads do")
	}
	if was := OpenTask(1<<28, 1<<28).Read(); was != Unknown {
		t.Errorf("a thread that is not there is in state %d", was)
	}
}

func TestName(t *testing.T) {
	for nr, want := range map[State]string{
		unix.SYS_CLOCK_NANOSLEEP: "clock_nanosleep", unix.SYS_FSYNC: "fsync", unix.SYS_RECVFROM: "recvfrom",
		unix.SYS_OPENAT: "openat", unix.SYS_GETPID: "", Running: "", Fault: "", Unknown: "",
	} {
		if got := Name(nr); got != want {
			t.Errorf("%d: got %q, want %q", nr, got, want)
		}
	}
}

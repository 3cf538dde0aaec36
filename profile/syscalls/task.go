package syscalls

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// State is what a thread was doing at one moment.
type State int16

// Beside these a state is a system call's number.
const (
	Unknown State = -3 // it could not be read
	Running State = -2 // on a CPU, or waiting for one
	Fault   State = -1 // waiting, but in no system call: for a page
)

// Task reads what a thread is doing, again and again.
type Task struct {
	file *os.File // nil: not permitted
	buf  [256]byte
}

// OpenTask opens a thread of a process. Where that is not permitted Read says
// Unknown.
func OpenTask(pid, tid int) *Task {
	file, err := os.Open(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
	if err != nil {
		return &Task{} // causes stay unknown, which is all that is lost
	}
	return &Task{file: file}
}

// Close ends the reading.
func (t *Task) Close() {
	if t.file != nil {
		_ = t.file.Close() // opened for reading
	}
}

// Read says what the thread is doing now.
func (t *Task) Read() State {
	if t.file == nil {
		return Unknown
	}
	n, _ := t.file.ReadAt(t.buf[:], 0) // at the end of the line: io.EOF
	return parseState(t.buf[:n])
}

// parseState reads the file's text: "running", or the number of the system call
// followed by its arguments, or "-1 SP PC" for a thread that waits outside of
// one. See proc_pid_syscall in the kernel's fs/proc/base.c.
func parseState(text []byte) State {
	word, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte(" "))
	if string(word) == "running" {
		return Running
	}
	n, err := strconv.ParseInt(string(word), 10, 16)
	if err != nil || n < -1 {
		return Unknown
	}
	return State(n)
}

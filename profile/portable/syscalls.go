package portable

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// state is what a thread was doing at one moment.
type state int16

// Beside these a state is a system call's number.
const (
	unknown state = -3 // it could not be read
	running state = -2 // on a CPU, or waiting for one
	fault   state = -1 // waiting, but in no system call: for a page
)

// taskFile reads what a thread is doing, again and again.
type taskFile struct {
	file *os.File // nil: not permitted
	buf  [256]byte
}

func openTask(pid, tid int) *taskFile {
	file, err := os.Open(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
	if err != nil {
		return &taskFile{} // causes stay unknown, which is all that is lost
	}
	return &taskFile{file: file}
}

func (t *taskFile) close() {
	if t.file != nil {
		_ = t.file.Close() // opened for reading
	}
}

func (t *taskFile) read() state {
	if t.file == nil {
		return unknown
	}
	n, _ := t.file.ReadAt(t.buf[:], 0) // at the end of the line: io.EOF
	return parseState(t.buf[:n])
}

// parseState reads the file's text: "running", or the number of the system call
// followed by its arguments, or "-1 SP PC" for a thread that waits outside of
// one. See proc_pid_syscall in the kernel's fs/proc/base.c.
func parseState(text []byte) state {
	word, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte(" "))
	if string(word) == "running" {
		return running
	}
	n, err := strconv.ParseInt(string(word), 10, 16)
	if err != nil || n < -1 {
		return unknown
	}
	return state(n)
}

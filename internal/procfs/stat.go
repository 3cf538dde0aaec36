package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Stat is what matters here of /proc/PID/stat (proc_pid_stat(5)).
type Stat struct {
	PID int
	// State is S (asleep), R (running), Z (dead, and not waited for), …
	State                  byte
	Parent, Group, Session int
	// CPU time, and that of children which have ended and been waited for.
	CPU, ChildrenCPU time.Duration
	Threads          int64
	// Start is in clock ticks after boot: of all processes that have had a PID, it
	// names one.
	Start uint64
}

// Dead says that the process has ended, and is only waited for.
func (s Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' }

// ReadStat reads a process'.
func ReadStat(pid int) (Stat, error) { return readStat("/proc/" + strconv.Itoa(pid) + "/stat") }

// ReadThreadStat reads a thread's.
func ReadThreadStat(pid, tid int) (Stat, error) {
	return readStat("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/stat")
}

func readStat(file string) (Stat, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Stat{}, err
	}
	s, err := ParseStat(data)
	if err != nil {
		return Stat{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// tick is the unit of times: USER_HZ is 100 on all that Linux runs on but Alpha
// and Itanium.
const tick = 10 * time.Millisecond

// maxTicks is a CPU time of a century on a thousand CPUs: what is beyond is none,
// and would not fit.
const maxTicks = int64(100*365*24) * int64(time.Hour/tick) / 100

// ParseStat reads "pid (name) state ppid pgrp session …", of which the fields are
// numbered from 1; the name may hold anything, spaces and parentheses included.
func ParseStat(data []byte) (Stat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return Stat{}, errors.New("not a process' stat line: it has no name in parentheses")
	}
	const first, last = 3, 22 // of the fields behind the name that are read
	fields := bytes.Fields(data[end+1:])
	if len(fields) <= last-first || len(fields[0]) != 1 {
		return Stat{}, fmt.Errorf("not a process' stat line: %d fields behind its name", len(fields))
	}
	s := Stat{State: fields[0][0]}
	var faults []error
	if s.State < 'A' || s.State > 'z' || s.State > 'Z' && s.State < 'a' {
		faults = append(faults, fmt.Errorf("its state is %q", s.State))
	}
	number := func(text []byte, bits int) int64 {
		n, err := strconv.ParseInt(string(text), 10, bits)
		if err != nil {
			faults = append(faults, err)
		}
		return n
	}
	field := func(n int) []byte { return fields[n-first] }
	s.PID = int(number(bytes.TrimSpace(data[:open]), 32))
	s.Parent, s.Group, s.Session = int(number(field(4), 32)), int(number(field(5), 32)), int(number(field(6), 32))
	ticks := func(n int) time.Duration {
		t := number(field(n), 64)
		if t < 0 || t > maxTicks {
			faults = append(faults, fmt.Errorf("field %d: %d ticks are no CPU time", n, t))
		}
		return time.Duration(t) * tick
	}
	s.CPU, s.ChildrenCPU = ticks(14)+ticks(15), ticks(16)+ticks(17)
	s.Threads = number(field(20), 64)
	var err error
	if s.Start, err = strconv.ParseUint(string(field(22)), 10, 64); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return Stat{}, fmt.Errorf("not a process' stat line: %w", faults[0])
	}
	return s, nil
}

// Processes are all of the machine's, those that are dead and not waited for
// included.
func Processes() ([]Stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Stat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := ReadStat(pid); err == nil { // it may have ended since
			all = append(all, s)
		}
	}
	return all, nil
}

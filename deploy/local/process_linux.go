package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// identity names a process for as long as the machine is up: a pid comes round
// again, a pid with its start time does not.
type identity struct {
	PID int `json:"pid"`
	// Start is in clock ticks after boot (proc_pid_stat(5), starttime).
	Start uint64 `json:"start_ticks"`
}

func identify(pid int) (identity, error) {
	s, err := readStat(pid)
	if err != nil {
		return identity{}, err
	}
	return identity{PID: pid, Start: s.start}, nil
}

// stat is the part of /proc/PID/stat that is needed here.
type stat struct {
	pid, parent, group, session int
	state                       byte
	start                       uint64
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat reads "pid (name) state ppid pgrp session … starttime(22)"; the name
// may hold anything, parentheses included.
func parseStat(data []byte) (stat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return stat{}, errors.New("not a process' stat line")
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("a process' stat line has %d fields after its name", len(fields))
	}
	s := stat{state: fields[0][0]}
	for _, f := range []struct {
		to   *int
		text []byte
	}{
		{&s.pid, bytes.TrimSpace(data[:open])}, {&s.parent, fields[1]}, {&s.group, fields[2]}, {&s.session, fields[3]},
	} {
		n, err := strconv.Atoi(string(f.text))
		if err != nil {
			return stat{}, fmt.Errorf("a process' stat line: %w", err)
		}
		*f.to = n
	}
	var err error
	if s.start, err = strconv.ParseUint(string(fields[19]), 10, 64); err != nil {
		return stat{}, fmt.Errorf("a process' stat line: %w", err)
	}
	return s, nil
}

// processes lists all of the machine's that are not dead.
func processes() ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []stat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil && !s.dead() { // it may have ended since
			all = append(all, s)
		}
	}
	return all, nil
}

// family picks the processes that belong to a leader: those of its session or
// its group, and those below it, which may have left both.
func family(all []stat, leader int) []int {
	below := map[int]bool{leader: true}
	// A parent may come after its child in the list: go on until nothing new.
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if !below[s.pid] && (below[s.parent] || s.session == leader || s.group == leader) {
				below[s.pid] = true
				grown = true
			}
		}
	}
	var pids []int
	for _, s := range all {
		if below[s.pid] {
			pids = append(pids, s.pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// memoryOf is the memory that a process holds, bytes: its own pages and its
// share of those that it has in common with others (PSS), so that forked
// workers add up; all of its resident pages where the kernel does not tell.
func memoryOf(pid int) int64 {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if data, err := os.ReadFile(filepath.Join(dir, "smaps_rollup")); err == nil {
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err == nil {
					return kib << 10
				}
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// bootID tells one run of the machine from another; empty where unknown.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

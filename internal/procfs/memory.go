package procfs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a process holds, bytes.
type Memory struct {
	// RSS are all resident pages. PSS counts a page that n processes have as a n-th
	// in each. Private are those that no other process has.
	RSS, PSS, Private int64
}

// ReadMemory reads /proc/PID/smaps_rollup, which Linux has since 4.14; see the
// kernel's Documentation/filesystems/proc.rst.
func ReadMemory(pid int) (Memory, error) {
	file := "/proc/" + strconv.Itoa(pid) + "/smaps_rollup"
	data, err := os.ReadFile(file)
	if err != nil {
		return Memory{}, err
	}
	sizes, err := Sizes(data, "Rss", "Pss", "Private_Clean", "Private_Dirty")
	if err != nil {
		return Memory{}, fmt.Errorf("%s: %w", file, err)
	}
	return Memory{RSS: sizes[0], PSS: sizes[1], Private: sizes[2] + sizes[3]}, nil
}

// Sizes reads lines of the form "Name: 123 kB", bytes in the order of the names,
// each of which must be there.
func Sizes(data []byte, names ...string) ([]int64, error) {
	sizes := make([]int64, len(names))
	for i, name := range names {
		found := false
		for line := range bytes.Lines(data) {
			before, value, ok := strings.Cut(string(line), ":")
			if !ok || before != name {
				continue
			}
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 54) // times 1024, it fits
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			sizes[i], found = kb<<10, true
		}
		if !found {
			return nil, fmt.Errorf("there is no %s", name)
		}
	}
	return sizes, nil
}

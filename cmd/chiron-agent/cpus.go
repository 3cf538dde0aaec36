package main

import (
	"fmt"
	"strconv"
	"strings"
)

// maxCPU is the largest number that Linux can give to a CPU (CONFIG_NR_CPUS).
const maxCPU = 8191

// parseCPUs reads a list in the form of cpuset(7): "0,2-3". Empty is nil.
func parseCPUs(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	seen := make(map[int]bool)
	var cpus []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last > maxCPU {
			return nil, fmt.Errorf("%q in %q is no CPU number or range: write for example 0,2-3", part, s)
		}
		for cpu := first; cpu <= last; cpu++ {
			if seen[cpu] {
				return nil, fmt.Errorf("CPU %d is named twice in %q", cpu, s)
			}
			seen[cpu] = true
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

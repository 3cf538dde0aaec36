package local

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/internal/affinity"
)

// machineCPUs lists the CPUs that this process may run on, in the order in which
// they are given away: one of each core first, so that two wraps do not share a
// core's units while another idles.
func machineCPUs() ([]int, error) {
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, err
	}
	rank := make(map[int]int, len(cpus))
	for _, cpu := range cpus {
		data, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err == nil {
			rank[cpu] = max(0, slices.Index(parseCPUList(strings.TrimSpace(string(data))), cpu))
		}
	}
	slices.SortStableFunc(cpus, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	return cpus, nil
}

// parseCPUList reads the kernel's list format: "0-3,8,10-11".
func parseCPUList(s string) []int {
	var cpus []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil || last-first > 1<<16 {
				continue
			}
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// assignCPUs gives each wrap as many of the machine's CPUs as its plan asks for.
// load says how many wraps of other deployments have each CPU, and is updated. A
// wrap gets the same CPU twice only where it asks for more than there are; CPUs
// that fewer wraps have come first. given[i][k] is what the plan's CPU k of wrap
// i means on this machine.
func assignCPUs(machine []int, load map[int]int, asked []int) (given [][]int) {
	given = make([][]int, len(asked))
	for i, n := range asked {
		own := make(map[int]int)
		for range n {
			best := machine[0]
			for _, cpu := range machine[1:] { // ties: the earlier in machine
				if c := cmp.Compare(own[cpu], own[best]); c < 0 || c == 0 && load[cpu] < load[best] {
					best = cpu
				}
			}
			own[best]++
			load[best]++
			given[i] = append(given[i], best)
		}
	}
	return given
}

// distinct returns each CPU once, ascending.
func distinct(cpus []int) []int {
	d := slices.Clone(cpus)
	slices.Sort(d)
	return slices.Compact(d)
}

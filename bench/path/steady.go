package path

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/bench/load"
)

// Steady is a long run of requests, and what the processes held during it.
type Steady struct {
	Requests    int     `json:"requests"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"requests_per_second"`
	// Samples after a tenth of the requests, half of them and all.
	Samples []Sample `json:"samples"`
}

// Sample is what gateway, agent and host hold together.
type Sample struct {
	Requests    int   `json:"requests"`
	Memory      int64 `json:"memory_bytes"` // proportional set size
	Descriptors int   `json:"descriptors"`
}

const steadyConnections = 16

func steady(ctx context.Context, c *chiron, requests int) (*Steady, error) {
	s := &Steady{Requests: requests, Connections: steadyConnections}
	done, seconds := 0, 0.0
	for _, until := range []int{requests / 10, requests / 2, requests} {
		r, err := load.Run(ctx, c.gateway, load.Options{Connections: steadyConnections, Requests: until - done})
		if err != nil {
			return nil, fmt.Errorf("bench path: %w", err)
		}
		done = until
		seconds += r.Elapsed.Seconds()
		sample, err := sampleTree(c.command.Process.Pid)
		if err != nil {
			return nil, fmt.Errorf("bench path: %w", err)
		}
		sample.Requests = until
		s.Samples = append(s.Samples, sample)
	}
	s.Rate = float64(requests) / seconds
	return s, nil
}

// sampleTree adds up a process and all below it.
func sampleTree(root int) (Sample, error) {
	parents := make(map[int]int)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return Sample{}, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it ended
		}
		// pid (name) state ppid: the name may hold anything.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	var s Sample
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if p == root {
				s.Memory += memoryOf(pid)
				fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where it ended
				s.Descriptors += len(fds)
				break
			}
		}
	}
	return s, nil
}

// memoryOf is a process' proportional set size, bytes; 0 where it ended.
func memoryOf(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

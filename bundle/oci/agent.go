package oci

import (
	"debug/elf"
	"fmt"

	"github.com/chiron-faas/chiron/internal/agentfile"
)

// agent is a binary that runs wraps on one architecture.
type agent struct {
	file string
	arch string // as Go calls it
}

// readAgent looks at a binary: it may be for another machine, so it is not run.
func readAgent(file string) (*agent, error) {
	info, err := agentfile.Read(file)
	if err != nil {
		return nil, err
	}
	a := &agent{file: file}
	for _, s := range info.Settings {
		switch {
		case s.Key == "GOARCH":
			a.arch = s.Value
		case s.Key == "GOOS" && s.Value != "linux":
			return nil, fmt.Errorf("agent %s is for %s: build one with GOOS=linux", file, s.Value)
		}
	}
	if a.arch == "" {
		return nil, fmt.Errorf("agent %s does not say what architecture it is for: build it with the go command", file)
	}
	program, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", file, err)
	}
	defer func() { _ = program.Close() }()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("agent %s needs the C library of the machine that it was built on: build it with CGO_ENABLED=0", file)
		}
	}
	return a, nil
}

// AgentsWith adds an agent, which is this machine's own, to agents that were given,
// where it can be an image's and none of them is for its architecture.
func AgentsWith(program string, given []string) ([]string, error) {
	own, err := readAgent(program)
	if err != nil {
		if len(given) == 0 {
			return nil, err
		}
		return given, nil
	}
	for _, file := range given {
		a, err := readAgent(file)
		if err != nil {
			return nil, err
		}
		if a.arch == own.arch {
			return given, nil
		}
	}
	return append([]string{program}, given...), nil
}

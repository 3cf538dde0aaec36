package oci

import (
	"debug/elf"
	"fmt"
	"runtime/debug"

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
	arch, err := staticArch("agent "+file, file, info)
	if err != nil {
		return nil, err
	}
	return &agent{file: file, arch: arch}, nil
}

// staticArch is the architecture that a program of Go's is for, which runs on Linux
// without anything beside it. what is the program in messages.
func staticArch(what, file string, info *debug.BuildInfo) (string, error) {
	arch := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "GOARCH":
			arch = s.Value
		case s.Key == "GOOS" && s.Value != "linux":
			return "", fmt.Errorf("%s is for %s: build one with GOOS=linux", what, s.Value)
		}
	}
	if arch == "" {
		return "", fmt.Errorf("%s does not say what architecture it is for: build it with the go command", what)
	}
	program, err := elf.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = program.Close() }()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s needs the C library of the machine that it was built on: build it with CGO_ENABLED=0", what)
		}
	}
	return arch, nil
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

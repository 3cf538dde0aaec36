package main

import (
	"strings"
	"testing"
)

// TestNoAgent: what needs the agent says in one line that it is not there, and
// how to come by it; what does not need it does not ask.
func TestNoAgent(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for args, wanted := range map[string]bool{
		"plan ../../examples/finra-5":                    true,
		"up ../../examples/finra-5 --listen 127.0.0.1:0": true,
		"calibrate":               true,
		"bench cold":              true,
		"ps":                      false,
		"down no-such-deployment": false,
		"version":                 false,
	} {
		got := chironWith(t, findAgent, strings.Fields(args)...)
		says := strings.Contains(got.err, "chiron-agent, which runs the wraps, is neither beside ") && strings.Contains(got.err, "make build")
		if says != wanted || wanted && (got.code != exitFailed || strings.Count(got.err, "\n") != 1) {
			t.Errorf("%s: exit code %d, %q", args, got.code, got.err)
		}
	}
}

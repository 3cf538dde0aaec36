package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// every calls visit for each verb, the root included.
func every(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		if c.Name() != "help" && c.Name() != "completion" {
			every(c, visit)
		}
	}
}

func TestHelp(t *testing.T) {
	every(newRoot(&app{env: func(string) string { return "" }}), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			got := chiron(t, append(path[1:], "--help")...)
			if got.code != exitDone || got.err != "" {
				t.Errorf("exit code %d, standard error %q", got.code, got.err)
			}
			fits(t, got.out)
			golden(t, "help/"+strings.Join(path, "-")+".txt", got.out)
			if cmd.Runnable() && !strings.Contains(cmd.Example, cmd.CommandPath()+" ") {
				t.Errorf("its help has no example that begins with %q: %q", cmd.CommandPath(), cmd.Example)
			}
		})
	})
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := chiron(t, "completion", shell); got.code != exitDone || len(got.out) < 1000 {
			t.Errorf("%s: exit code %d, %d bytes, %s", shell, got.code, len(got.out), got.err)
		}
	}
	if got := chiron(t, "__complete", "version", "--output", ""); !strings.Contains(got.out, "json") {
		t.Errorf("--output is completed with %q", got.out)
	}
}

package main

import (
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionReport is what the binary knows of its own making.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	// Modified says that the working tree had changes beyond the revision.
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which chiron this is",
		Example: "  chiron version --output json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return a.report(v, func(w io.Writer, _ style) {
				printf(w, "chiron %s, %s, %s", v.Version, v.Go, v.Platform)
				if v.Revision != "" {
					printf(w, ", revision %.12s", v.Revision)
				}
				if v.Modified {
					printf(w, " with changes")
				}
				printf(w, "\n")
			})
		},
	}
}

func readVersion() versionReport {
	v := versionReport{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

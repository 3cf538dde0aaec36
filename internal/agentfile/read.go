package agentfile

import (
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
)

// Read returns what a file says of its making; an error where it is no agent. It
// may be for another machine, so it is not run.
func Read(file string) (*debug.BuildInfo, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("agent %s is no program made by Go: give a %s: %w", file, Name, err)
	}
	if info.Path != ImportPath {
		return nil, fmt.Errorf("agent %s is %s: give a %s", file, info.Path, Name)
	}
	return info, nil
}

// Check says whether a file is an agent of the version that chiron is, which says
// of its own making what own does.
func Check(file string, own *debug.BuildInfo) error {
	info, err := Read(file)
	if err != nil {
		return err
	}
	agents, ours := versionOf(info), versionOf(own)
	if agents != ours {
		return fmt.Errorf("agent %s is %s, and this chiron is %s: make build makes both, as does go install %s", file, agents, ours, both)
	}
	return nil
}

// versionOf is the version of the module, with the revision where the version
// does not have it (before Go 1.24, "(devel)").
func versionOf(info *debug.BuildInfo) string {
	version, revision, modified := info.Main.Version, "", ""
	if version == "" {
		version = "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = fmt.Sprintf(", revision %.12s", s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return version + revision + modified
}

package oci

import (
	"context"
	"fmt"
	"strings"

	"github.com/chiron-faas/chiron/host"
)

// versionOf is the Python version whose slim image is the base where none is
// given: what the functions ask for, else that of this machine's python3, which
// they were measured with.
func versionOf(ctx context.Context, runtime string) (string, error) {
	if version := strings.TrimPrefix(runtime, "python"); isVersion(version) {
		return version, nil
	}
	i, err := host.FindInterpreter(ctx, "python", runtime)
	if err != nil {
		return "", fmt.Errorf("no base is given, and the version of Python that it should have is not known: %w; or name a base with --base", err)
	}
	parts := strings.SplitN(i.Version, ".", 3)
	return parts[0] + "." + parts[1], nil
}

// isVersion tells "3.12" and "3.12.1" from other names, such as "3".
func isVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) == 2 || len(parts) == 3
}

package host

import (
	"errors"
	"fmt"
	"os"
)

// sharedMemory is a file system in memory that every container has, also one
// whose root file system is read-only and that nobody has given a /tmp.
const sharedMemory = "/dev/shm"

// makeWorkDir makes the processes' folder where one can be made.
func makeWorkDir() (string, error) {
	dir, err := os.MkdirTemp("", "chiron-host-")
	if err == nil {
		return dir, nil
	}
	dir, err2 := os.MkdirTemp(sharedMemory, "chiron-host-")
	if err2 == nil {
		return dir, nil
	}
	return "", fmt.Errorf("no folder can be made for the functions to work in: mount one at %s: %w", os.TempDir(), errors.Join(err, err2))
}

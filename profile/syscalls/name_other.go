//go:build !amd64

package syscalls

// archName names no further system calls: those of newer architectures are all
// in Name.
func archName(State) string { return "" }

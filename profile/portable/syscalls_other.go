//go:build !amd64

package portable

// archName names no further system calls: those of newer architectures are all
// in name.
func archName(state) string { return "" }

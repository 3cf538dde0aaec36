package ebpf

import "golang.org/x/sys/unix"

// archForms are calls that newer architectures than arm64 no longer have.
func archForms(path func(...uint8) probesForm) map[int]probesForm {
	return map[int]probesForm{unix.SYS_RENAMEAT: path(2, 4)}
}

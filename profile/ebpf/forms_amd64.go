package ebpf

import "golang.org/x/sys/unix"

// archForms are calls that exist on amd64 but not on newer architectures.
func archForms(path func(...uint8) probesForm) map[int]probesForm {
	return map[int]probesForm{
		unix.SYS_OPEN:     path(1),
		unix.SYS_CREAT:    path(1),
		unix.SYS_RENAME:   path(1, 2),
		unix.SYS_RENAMEAT: path(2, 4),
		unix.SYS_LINK:     path(1, 2),
		unix.SYS_SYMLINK:  path(2),
		unix.SYS_UNLINK:   path(1),
		unix.SYS_MKDIR:    path(1),
		unix.SYS_RMDIR:    path(1),
	}
}

package ebpf

import "golang.org/x/sys/unix"

// forms says of each system call that names a file or an address in which of
// its arguments, counted from 1, the names are. The other calls are not told.
func forms() map[int]probesForm {
	path := func(at ...uint8) probesForm {
		var f probesForm
		copy(f.Path[:], at)
		return f
	}
	how := path(2)
	how.How = 3
	all := map[int]probesForm{
		unix.SYS_OPENAT:    path(2),
		unix.SYS_OPENAT2:   how,
		unix.SYS_RENAMEAT2: path(2, 4),
		unix.SYS_LINKAT:    path(2, 4),
		unix.SYS_SYMLINKAT: path(3),
		unix.SYS_UNLINKAT:  path(2),
		unix.SYS_MKDIRAT:   path(2),
		unix.SYS_TRUNCATE:  path(1),
		unix.SYS_CHDIR:     path(1),
		unix.SYS_FCHDIR:    {Plain: 1},
		unix.SYS_SOCKET:    {Plain: 1},
		unix.SYS_CONNECT:   {Address: 2},
		unix.SYS_BIND:      {Address: 2},
		// Its length is behind a pointer: what follows the address is not read.
		unix.SYS_GETSOCKNAME: {Address: 2},
	}
	for nr, f := range archForms(path) {
		all[nr] = f
	}
	return all
}

func (k *kernel) fillForms() error {
	for nr, f := range forms() {
		if err := k.objects.Forms.Put(uint32(nr), f); err != nil {
			return err
		}
	}
	return nil
}

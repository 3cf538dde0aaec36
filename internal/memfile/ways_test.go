package memfile

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkWays holds ways to put bytes into shared memory against a warm copy of
// as many: what docs/transfer.md says did and did not help.
func BenchmarkWays(b *testing.B) {
	for _, mib := range []int{1, 16, 256} {
		from, to := make([]byte, mib<<20), make([]byte, mib<<20)
		for i := range from {
			from[i] = byte(i)
		}
		for _, way := range []struct {
			name string
			kept bool // the same file each time
			put  func(fd int, mapped []byte) error
		}{
			{"memcpy", true, func(int, []byte) error { copy(to, from); return nil }},
			{"new-write", false, func(fd int, _ []byte) error { return pwrite(fd, from, 0) }},
			{"new-write-2-threads", false, func(fd int, _ []byte) error {
				var other error
				var wg sync.WaitGroup
				half := len(from) / 2
				wg.Go(func() { other = pwrite(fd, from[:half], 0) })
				err := pwrite(fd, from[half:], half)
				wg.Wait()
				if err == nil {
					err = other
				}
				return err
			}},
			{"new-allocate-write", false, func(fd int, _ []byte) error {
				if err := unix.Fallocate(fd, 0, 0, int64(len(from))); err != nil {
					return err
				}
				return pwrite(fd, from, 0)
			}},
			{"new-mapping", false, func(_ int, mapped []byte) error { copy(mapped, from); return nil }},
			{"new-populate", false, func(_ int, mapped []byte) error {
				for at := 0; at < len(from); at += stretch {
					if err := unix.Madvise(mapped[at:at+stretch], unix.MADV_POPULATE_WRITE); err != nil {
						return err
					}
					copy(mapped[at:], from[at:at+stretch])
				}
				return nil
			}},
			{"kept-write", true, func(fd int, _ []byte) error { return pwrite(fd, from, 0) }},
			{"kept-mapping", true, func(_ int, mapped []byte) error { copy(mapped, from); return nil }},
		} {
			b.Run(fmt.Sprintf("%dMiB/%s", mib, way.name), func(b *testing.B) {
				b.SetBytes(int64(len(from)))
				fd, mapped := newWay(b, len(from))
				if err := way.put(fd, mapped); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if !way.kept {
						b.StopTimer()
						endWay(b, fd, mapped)
						fd, mapped = newWay(b, len(from))
						b.StartTimer()
					}
					if err := way.put(fd, mapped); err != nil {
						b.Fatal(err)
					}
				}
				endWay(b, fd, mapped)
			})
		}
	}
}

func newWay(b *testing.B, n int) (int, []byte) {
	b.Helper()
	fd, err := newMemfd()
	if err == nil {
		err = unix.Ftruncate(fd, int64(n))
	}
	if err != nil {
		b.Fatal(err)
	}
	mapped, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		b.Fatal(err)
	}
	return fd, mapped
}

func endWay(b *testing.B, fd int, mapped []byte) {
	b.Helper()
	if err := unix.Munmap(mapped); err != nil {
		b.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		b.Fatal(err)
	}
}

func pwrite(fd int, from []byte, at int) error {
	for len(from) > 0 {
		n, err := unix.Pwrite(fd, from, int64(at))
		if err != nil {
			return os.NewSyscallError("pwrite", err)
		}
		from, at = from[n:], at+n
	}
	return nil
}

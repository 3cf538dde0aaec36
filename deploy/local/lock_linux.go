package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// lock is a deployment's: its keeper holds it (flock(2)) for as long as it
// lives, and the kernel lets go of it however the keeper ends.
type lock struct{ file *os.File }

func (t *Target) lockFile(name string) string {
	return filepath.Join(t.options.Dir, "."+name+".lock")
}

// acquire takes a deployment's lock; deploy.ErrExists where it is kept.
func (t *Target) acquire(name string) (*lock, error) {
	// held takes the lock for an instant: wait that out.
	for attempt := 0; ; attempt++ {
		l, err := flock(t.lockFile(name), syscall.LOCK_EX, os.O_CREATE)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock deployment %q: %w", name, err)
		}
		if attempt == 10 {
			return nil, fmt.Errorf("%w: %q: take it down first (chiron down %s)", deploy.ErrExists, name, name)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// held says whether a keeper holds the deployment's lock.
func (t *Target) held(name string) bool {
	// A look must not leave a file behind where the keeper has just gone.
	l, err := flock(t.lockFile(name), syscall.LOCK_SH, 0)
	if err != nil {
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	_ = l.file.Close()
	return false
}

func flock(path string, how, create int) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|create, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// Who had the lock before may have removed the file in between.
		ours, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(ours, there) {
			return &lock{f}, nil
		}
		_ = f.Close()
		if err1 != nil {
			return nil, err1
		}
	}
}

// release removes the lock with its file.
func (l *lock) release() error {
	if err := os.Remove(l.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, l.file.Close())
	}
	return l.file.Close()
}

func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}

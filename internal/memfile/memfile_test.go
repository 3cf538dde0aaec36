package memfile

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

// dup is the file as another process would get it.
func dup(tb testing.TB, fd int) int {
	tb.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return fd
}

func bytesOf(tb testing.TB, f *File, n int) []byte {
	tb.Helper()
	b, err := f.Bytes(n)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestHandOver(t *testing.T) {
	before := descriptors(t)
	f, err := Create(100_000)
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("0123456789"), 10_000)
	if err := f.Write(text[:50_001], 0); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Fill(bytes.NewReader(text[50_001:]), 50_001, len(text)-50_001); n != len(text)-50_001 || err != nil {
		t.Fatal(n, err)
	}
	g, err := Adopt(dup(t, f.FD()), len(text), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesOf(t, g, len(text)), text) {
		t.Error("other bytes came than were written")
	}
	if b, err := g.Copy(len(text)); err != nil || !bytes.Equal(b, text) {
		t.Errorf("a copy has other bytes: %v", err)
	}
	if !g.Holds(bytesOf(t, g, 10)) || g.Holds(text) || g.Holds(bytesOf(t, g, 10)[1:]) || g.Holds(nil) {
		t.Error("Holds is wrong")
	}
	// Who got it cannot write to it, whatever it tries.
	if _, err := unix.Pwrite(g.FD(), []byte("x"), 0); err == nil {
		t.Error("a receiver could write")
	}
	if _, err := unix.Mmap(g.FD(), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("a receiver could map it for writing")
	}
	if err := unix.Ftruncate(g.FD(), 0); err == nil {
		t.Error("a receiver could shrink it")
	}
	f.Release()
	if !bytes.Equal(bytesOf(t, g, len(text)), text) {
		t.Error("the bytes went with their first holder")
	}
	if _, err := g.Bytes(1 << 30); err == nil {
		t.Error("more bytes than there are were given")
	}
	g.Release()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

func TestAdoptRefuses(t *testing.T) {
	memfd := func(size int64, seals int) int {
		fd, err := newMemfd()
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	const steady = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	for name, test := range map[string]struct {
		open func() int
		size int
		want string
	}{
		"unsealed":      {func() int { return memfd(4096, 0) }, 100, "not sealed"},
		"sealed growth": {func() int { return memfd(4096, unix.F_SEAL_GROW|unix.F_SEAL_WRITE) }, 100, "not sealed"},
		"short":         {func() int { return memfd(99, steady) }, 100, "has 99 bytes and shall have 100"},
		"empty":         {func() int { return memfd(0, steady) }, 0, "over the limit"},
		"negative":      {func() int { return memfd(10, steady) }, -1, "over the limit"},
		"large":         {func() int { return memfd(4096, steady) }, 1001, "over the limit of 1000"},
		"file": {func() int {
			fd, err := unix.Open(os.Args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}, 100, "no shared memory"},
		"pipe": {func() int {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(p[1])
			return p[0]
		}, 100, "no shared memory"},
		"closed": {func() int { return 1 << 20 }, 100, "no shared memory"},
	} {
		before := descriptors(t)
		f, err := Adopt(test.open(), test.size, 1000)
		if err == nil {
			t.Errorf("%s: taken: %+v", name, f)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if n := descriptors(t); n != before {
			t.Errorf("%s: %d descriptors before, %d after", name, before, n)
		}
	}
	// A file of a terabyte of nothing maps no more than the limit.
	f, err := Adopt(memfd(1<<40, steady), 10, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if f.Capacity() > 8192 {
		t.Errorf("capacity %d", f.Capacity())
	}
}

func TestReuse(t *testing.T) {
	f, err := Create(10)
	if err != nil {
		t.Fatal(err)
	}
	if f.Reuse() {
		t.Error("its maker's file was given away")
	}
	f.Keep(time.Millisecond)
	f.Release()
	if !f.Reuse() || f.Reuse() {
		t.Error("an idle file is to be had once")
	}
	time.Sleep(5 * time.Millisecond) // held: it does not cool
	if f.Cold() {
		t.Error("a held file went cold")
	}
	f.Release()
	for range 1000 {
		if f.Cold() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if !f.Cold() || f.Reuse() {
		t.Error("an idle file did not go cold, or was given out cold")
	}
	f.Release()
}

func TestGivenAwayIsNotReused(t *testing.T) {
	f, err := Create(10)
	if err != nil {
		t.Fatal(err)
	}
	f.Keep(time.Hour)
	f.GiveAway()
	f.Release()
	if f.Reuse() || !f.Cold() {
		t.Error("a file that another process reads is to be written again")
	}
	f.Release()
}

// TestColdFileHasNoPages looks at what a sender's kept file takes after it has
// cooled, by the blocks that the kernel counts.
func TestColdFileHasNoPages(t *testing.T) {
	fd, err := newMemfd()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	f, err := Adopt(fd, 1<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	f.Keep(time.Millisecond)
	f.Release()
	for range 1000 {
		if f.Cold() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock() // it is cold a moment before it is empty
	defer f.mu.Unlock()
	var stat unix.Stat_t
	if err := unix.Fstat(f.fd, &stat); err != nil || stat.Blocks != 0 || stat.Size != 1<<20 {
		t.Errorf("%d blocks of %d bytes (%v), want none", stat.Blocks, stat.Size, err)
	}
}

// TestPool has several users write and look whether their bytes stay theirs.
func TestPool(t *testing.T) {
	before := descriptors(t)
	var p Pool
	var wg sync.WaitGroup
	for u := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(u)))
			for i := range 100 {
				want := bytes.Repeat([]byte{byte(u), byte(i)}, 1+random.IntN(50_000))
				f, err := p.Copy(want)
				if err != nil {
					t.Error(err)
					return
				}
				f.Hold()
				f.Release()
				b, err := f.Bytes(len(want))
				if err != nil || !bytes.Equal(b, want) {
					t.Errorf("user %d's bytes were written over (%v)", u, err)
				}
				f.Release()
			}
		})
	}
	wg.Wait()
	if n := len(p.kept); n == 0 || n > maxKept {
		t.Errorf("the pool keeps %d files", n)
	}
	f, err := p.Get(10)
	if err != nil {
		t.Fatal(err)
	}
	if f.Capacity() > 10*waste && f.Capacity() > os.Getpagesize() {
		t.Errorf("10 bytes got a file for %d", f.Capacity())
	}
	p.Close()
	if err := f.Write([]byte("still mine"), 0); err != nil {
		t.Fatal(err)
	}
	f.Release()
	if f, err = p.Get(10); err != nil {
		t.Fatal(err)
	}
	f.Release()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

func TestPoolLetsGo(t *testing.T) {
	var p Pool
	defer p.Close()
	f, err := p.Get(10)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.keepFor = time.Millisecond
	f.mu.Unlock()
	f.Release()
	for range 1000 {
		if f.Cold() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	p.trim()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) != 0 {
		t.Error("a cold file is kept")
	}
}

func TestRoomy(t *testing.T) {
	page := os.Getpagesize()
	for _, n := range []int{0, 1, page, page + 1, 65537, 1<<20 + 1, 5<<20 + 3, 1 << 30} {
		if c := roomy(n); c < n || c%page != 0 || c > max(n+n/8, n+page) {
			t.Errorf("roomy(%d) = %d", n, c)
		}
	}
}

// TestNoMemory asks for more than the address space holds.
func TestNoMemory(t *testing.T) {
	before := descriptors(t)
	if f, err := Create(1 << 62); err == nil {
		f.Release()
		t.Error("4 EiB were given")
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

func FuzzAdopt(f *testing.F) {
	f.Add(int64(4096), uint8(2), 100, 1000)
	f.Add(int64(10), uint8(10), 100, 1000)
	f.Add(int64(1<<40), uint8(6), 1<<30, 1<<30)
	f.Fuzz(func(t *testing.T, length int64, seals uint8, size, limit int) {
		fd, err := newMemfd()
		if err != nil {
			t.Fatal(err)
		}
		if unix.Ftruncate(fd, length&(1<<41-1)) != nil {
			_ = unix.Close(fd)
			return
		}
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, int(seals&0xf))
		limit = min(max(limit, 1), 1<<30)
		file, err := Adopt(fd, size, limit)
		if err != nil {
			return
		}
		defer file.Release()
		b, err := file.Bytes(size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Pwrite(file.FD(), nil, 0); len(b) != size || err != nil {
			t.Fatalf("%d bytes of %d, %v", len(b), size, err)
		}
		_ = b[0] + b[size-1] // a signal where the file is shorter
	})
}

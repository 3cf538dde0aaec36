package ebpf

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// interpreterLock is what has to be known of a language's interpreter to see
// who has its lock. Another language is another of these.
type interpreterLock struct {
	language string
	// in says whether a mapped file of that name may hold the interpreter.
	in func(base string) bool
	// pairs of functions that release and take the lock, the best first: the
	// first pair of which both are in the file is used.
	pairs []symbolPair
	// waitsIn is the system call in which a thread waits for the lock.
	waitsIn int32
}

type symbolPair struct {
	release, take string
}

// cpython's lock is Python/ceval_gil.c (ceval_gil.h until 3.11). drop_gil and
// take_gil are all that touch it, forced switches included, but they are
// static: a stripped interpreter (Debian's) does not name them. There the
// functions behind Py_BEGIN_ALLOW_THREADS and Py_END_ALLOW_THREADS are, which
// every build exports; switches between threads while both compute are then
// not seen. A free-threaded build has these functions too, and no lock in them.
func cpython() interpreterLock {
	return interpreterLock{
		language: "python",
		in: func(base string) bool {
			return strings.HasPrefix(base, "libpython3") || strings.HasPrefix(base, "python")
		},
		pairs: []symbolPair{
			{"drop_gil", "take_gil"},
			{"PyEval_SaveThread", "PyEval_RestoreThread"},
		},
		// A condition variable's: pthread_cond_timedwait.
		waitsIn: unix.SYS_FUTEX,
	}
}

// lockPlaces is where a process' interpreter releases and takes its lock:
// offsets in a file, as probes are placed.
type lockPlaces struct {
	file          string // as this process can open it
	release, take []uint64
	pair          symbolPair
}

var errNoInterpreter = errors.New("no interpreter whose lock is known is in it")

// find looks for the interpreter among the files that a process has mapped.
func (l interpreterLock) find(pid int) (lockPlaces, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return lockPlaces{}, fmt.Errorf("look for the interpreter of process %d: %w", pid, err)
	}
	defer maps.Close()
	tried := map[string]bool{}
	err = errNoInterpreter
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// address perms offset dev inode path; see proc_pid_maps(5).
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") || tried[fields[5]] || !l.in(filepath.Base(fields[5])) {
			continue
		}
		tried[fields[5]] = true
		// The file as the process sees it: it may have another root.
		file := fmt.Sprintf("/proc/%d/root%s", pid, fields[5])
		if len(fields) > 6 { // "(deleted)": an update replaced it
			file = fmt.Sprintf("/proc/%d/map_files/%s", pid, fields[0])
		}
		places, readErr := l.read(file)
		if readErr == nil {
			return places, nil
		}
		if !errors.Is(readErr, errNoInterpreter) {
			err = readErr
		}
	}
	return lockPlaces{}, fmt.Errorf("process %d: %w", pid, err)
}

// read finds the best pair of functions in a file.
func (l interpreterLock) read(file string) (lockPlaces, error) {
	f, err := elf.Open(file)
	if err != nil {
		return lockPlaces{}, fmt.Errorf("read the interpreter's symbols: %w", err)
	}
	defer f.Close()
	// Either table may be missing.
	symbols, _ := f.Symbols()
	exported, _ := f.DynamicSymbols()
	symbols = append(symbols, exported...)
	for _, pair := range l.pairs {
		release, take := offsets(f, symbols, pair.release), offsets(f, symbols, pair.take)
		if len(release) > 0 && len(take) > 0 {
			return lockPlaces{file: file, release: release, take: take, pair: pair}, nil
		}
	}
	return lockPlaces{}, errNoInterpreter
}

// offsets are where a function begins in the file: it, and the copies of it
// that a compiler makes for calls with known arguments (take_gil.constprop.0).
// What it puts apart because it seldom runs (.cold) is no beginning.
func offsets(f *elf.File, symbols []elf.Symbol, name string) []uint64 {
	var found []uint64
	seen := map[uint64]bool{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value == 0 || seen[s.Value] {
			continue
		}
		rest, ok := strings.CutPrefix(s.Name, name)
		if !ok || rest != "" && (rest[0] != '.' || strings.Contains(rest, "cold")) {
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				seen[s.Value] = true
				found = append(found, s.Value-p.Vaddr+p.Off)
			}
		}
	}
	return found
}

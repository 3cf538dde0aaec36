package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// event is one of the kernel's records: the thread left a CPU or came onto one.
type event struct {
	at    int64 // CLOCK_MONOTONIC, ns
	came  bool
	waits bool // it left until something wakes it; else it was displaced
}

// Parts of perf_event_open(2) that the unix package does not name.
const (
	recordLost   = 2       // PERF_RECORD_LOST
	recordSwitch = 14      // PERF_RECORD_SWITCH
	switchOut    = 1 << 13 // PERF_RECORD_MISC_SWITCH_OUT
	displaced    = 1 << 14 // PERF_RECORD_MISC_SWITCH_OUT_PREEMPT
	headerSize   = 8
	// idSize is what sample_id_all appends to each record, as asked for below:
	// pid, tid, time.
	idSize = 16
	// dataPages hold the records until they are read, some 16,000: a power of
	// two. What an unprivileged process may lock (kernel.perf_event_mlock_kb) is
	// half a megabyte for each CPU.
	dataPages = 128
)

// ring is the kernel's buffer of one thread's records.
type ring struct {
	fd     int
	memory []byte
	page   int
}

func openRing(tid int) (*ring, error) {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_DUMMY, // it counts nothing: only the records are wanted
		Sample_type: unix.PERF_SAMPLE_TID | unix.PERF_SAMPLE_TIME,
		// Without the kernel, which perf_event_paranoid 2 keeps for the
		// privileged.
		Bits:    unix.PerfBitContextSwitch | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
		Clockid: unix.CLOCK_MONOTONIC,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, explain(err)
	}
	r := &ring{fd: fd, page: os.Getpagesize()}
	if r.memory, err = unix.Mmap(fd, 0, (1+dataPages)*r.page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		_ = unix.Close(fd) // it was only opened
		return nil, fmt.Errorf("map the buffer of context switches: %w (see kernel.perf_event_mlock_kb)", err)
	}
	return r, nil
}

// close ends the records.
func (r *ring) close() {
	_ = unix.Munmap(r.memory) // it is ours
	_ = unix.Close(r.fd)
}

// Offsets in the first page, struct perf_event_mmap_page.
const (
	headAt = 1024
	tailAt = 1032
)

// read takes what is in the buffer: events in order, and whether some were lost.
func (r *ring) read(to []event) (events []event, lost bool) {
	head := atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.memory[headAt])))
	tail := (*uint64)(unsafe.Pointer(&r.memory[tailAt])) // written by us alone
	events, lost = parse(r.memory[r.page:], *tail, head, to)
	atomic.StoreUint64(tail, head)
	return events, lost
}

// parse reads the records between two positions of a ring. One that contradicts
// itself ends the reading: the rest counts as lost.
func parse(data []byte, from, to uint64, events []event) ([]event, bool) {
	lost := false
	size := uint64(len(data))
	order := binary.NativeEndian
	var buffer [64]byte
	copyOut := func(at, n uint64) []byte {
		for i := range n {
			buffer[i] = data[(at+i)%size]
		}
		return buffer[:n]
	}
	for from < to {
		if to-from < headerSize || to-from > size {
			return events, true
		}
		header := copyOut(from, headerSize)
		kind, misc, length := order.Uint32(header), order.Uint16(header[4:]), uint64(order.Uint16(header[6:]))
		if length < headerSize || length > to-from {
			return events, true
		}
		switch {
		case kind == recordSwitch && length >= headerSize+idSize:
			id := copyOut(from+length-idSize, idSize)
			events = append(events, event{
				at:    int64(order.Uint64(id[8:])),
				came:  misc&switchOut == 0,
				waits: misc&switchOut != 0 && misc&displaced == 0,
			})
		case kind == recordLost, kind == recordSwitch:
			lost = true
		}
		from += length
	}
	return events, lost
}

// explain says why the kernel refuses, in one line.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("the kernel has no perf events (CONFIG_PERF_EVENTS): %w", err)
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("the thread has ended: %w", err)
	case !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM):
		return fmt.Errorf("ask for records of context switches: %w", err)
	}
	const file = "/proc/sys/kernel/perf_event_paranoid"
	if text, readErr := os.ReadFile(file); readErr == nil {
		if level, parseErr := strconv.Atoi(strings.TrimSpace(string(text))); parseErr == nil && level > 2 {
			return fmt.Errorf("perf events are for the privileged here (%s is %d): give this process CAP_PERFMON, or: sysctl kernel.perf_event_paranoid=2: %w", file, level, err)
		}
	}
	return fmt.Errorf("the kernel refuses perf events: a security module or a container's seccomp profile forbids perf_event_open(2), or the process is another user's: %w", err)
}

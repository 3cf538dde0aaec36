package ebpf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/chiron-faas/chiron/profile"
)

// drainEvery is how often the ring buffer is emptied: it holds what a thread
// that does nothing but take and release its lock makes in a tenth of a second.
const drainEvery = 10 * time.Millisecond

// kernel is the programs of probes.c in the kernel, and what they told so far.
// Nothing outlives it there: all hangs on file descriptors of this process.
type kernel struct {
	objects  probesObjects
	process  uint32 // as the events call the traced one
	reader   *ringbuf.Reader
	always   []link.Link // since load
	probes   []link.Link // until release
	stop     chan struct{}
	draining sync.WaitGroup
	once     sync.Once

	// Written by the drain, to be read once close has returned.
	seen seen
	err  error
	lost probesLost
}

// probesLost is the variable lost of probes.c.
type probesLost struct{ Count, First, Last uint64 }

// load loads the programs for one thread and begins to tell when it is on a
// CPU.
func load(target profile.Target) (_ *kernel, err error) {
	process, thread, err := numbers(target.PID, target.TID)
	if err != nil {
		return nil, err
	}
	spec, err := loadProbes()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(spec.Variables[probesVarThread].Set(thread), spec.Variables[probesVarProcess].Set(process)); err != nil {
		return nil, err
	}
	k := &kernel{process: process, stop: make(chan struct{})}
	if err := spec.LoadAndAssign(&k.objects, nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	if k.reader, err = ringbuf.NewReader(k.objects.Events); err != nil {
		return nil, err
	}
	if err := k.fillForms(); err != nil {
		return nil, err
	}
	if err := k.objects.Followed.Put(process, process); err != nil {
		return nil, err
	}
	k.draining.Go(k.drain)
	return k, k.trace(&k.always, k.objects.SchedSwitch, k.objects.SchedWakeup)
}

// trace attaches programs to the tracepoints that they name.
func (k *kernel) trace(to *[]link.Link, programs ...*ebpf.Program) error {
	for _, p := range programs {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return err
		}
		*to = append(*to, l)
	}
	return nil
}

// followCalls tells of system calls that name something, until release.
func (k *kernel) followCalls() error {
	return k.trace(&k.probes, k.objects.SchedProcessFork, k.objects.SchedProcessExit, k.objects.SysExit, k.objects.SysEnter)
}

// probeLock tells when the thread releases and takes its lock, until release.
func (k *kernel) probeLock(pid int, at lockPlaces) error {
	file, err := link.OpenExecutable(at.file)
	if err != nil {
		return err
	}
	attach := func(places []uint64, symbol string, p *ebpf.Program) error {
		for _, place := range places {
			l, err := file.Uprobe(symbol, p, &link.UprobeOptions{Address: place, PID: pid})
			if err != nil {
				return err
			}
			k.probes = append(k.probes, l)
		}
		return nil
	}
	if err := attach(at.release, at.pair.release, k.objects.LockReleased); err != nil {
		return err
	}
	return attach(at.take, at.pair.take, k.objects.LockTaken)
}

// release takes the probes away that were attached since load.
func (k *kernel) release() {
	for _, l := range k.probes {
		_ = l.Close() // what hangs on a descriptor goes with it
	}
	k.probes = nil
}

// drain empties the ring buffer until the end.
func (k *kernel) drain() {
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	for stopped := false; ; {
		select {
		case <-k.stop:
			stopped = true
		case <-ticker.C:
		}
		if err := k.empty(); err != nil {
			k.err = err
			return
		}
		if stopped {
			return
		}
	}
}

func (k *kernel) empty() error {
	// A moment that has passed: what is there is read, and nothing awaited.
	k.reader.SetDeadline(time.Unix(1, 0))
	var record ringbuf.Record
	for {
		err := k.reader.ReadInto(&record)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the kernel's events: %w", err)
		}
		if err := k.seen.add(record.RawSample); err != nil {
			return err
		}
	}
}

// close ends everything, once: the probes, then the reading of what they told,
// then the programs.
func (k *kernel) close() {
	k.once.Do(func() {
		k.release()
		for _, l := range k.always {
			_ = l.Close() // as above
		}
		close(k.stop)
		k.draining.Wait()
		if err := k.objects.Lost.Get(&k.lost); err != nil && k.err == nil {
			k.err = fmt.Errorf("read how many events were lost: %w", err)
		}
		if k.reader != nil {
			_ = k.reader.Close() // nothing is left to read
		}
		_ = k.objects.Close() // descriptors
	})
}

// firstNamespace is the inode of the first PID namespace (PROC_PID_INIT_INO in
// the kernel's include/linux/proc_ns.h), as its link in /proc names it.
const firstNamespace = "pid:[4026531836]"

// numbers are a process' and a thread's in the first PID namespace, which are
// those that the kernel's events bear.
func numbers(pid, tid int) (process, thread uint32, err error) {
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return 0, 0, fmt.Errorf("find out the PID namespace: %w", err)
	}
	if ours == firstNamespace {
		return uint32(pid), uint32(tid), nil
	}
	spec, err := loadProbes()
	if err != nil {
		return 0, 0, err
	}
	if err := spec.Variables[probesVarWantedThread].Set(uint32(tid)); err != nil {
		return 0, 0, err
	}
	var found struct {
		Find    *ebpf.Program  `ebpf:"find_thread"`
		Process *ebpf.Variable `ebpf:"found_process"`
		Thread  *ebpf.Variable `ebpf:"found_thread"`
	}
	if err := spec.LoadAndAssign(&found, nil); err != nil {
		return 0, 0, err
	}
	defer found.Find.Close()
	iterator, err := link.AttachIter(link.IterOptions{Program: found.Find})
	if err != nil {
		return 0, 0, err
	}
	defer iterator.Close()
	walk, err := iterator.Open()
	if err != nil {
		return 0, 0, err
	}
	defer walk.Close()
	// The kernel shows the program every thread while it is read.
	if _, err := io.Copy(io.Discard, walk); err != nil {
		return 0, 0, fmt.Errorf("walk the kernel's threads: %w", err)
	}
	if err := errors.Join(found.Process.Get(&process), found.Thread.Get(&thread)); err != nil {
		return 0, 0, err
	}
	if thread == 0 {
		return 0, 0, fmt.Errorf("thread %d of process %d is not among the kernel's: it has ended", tid, pid)
	}
	return process, thread, nil
}

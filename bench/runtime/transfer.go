package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/objectstore"
)

// TransferOptions say what Transfer measures.
type TransferOptions struct {
	// Sizes of the value, bytes; empty: DefaultSizes.
	Sizes []int
	// Rounds of each size; 0: 3 of a gigabyte up to 31 of a small one.
	Rounds int
	// Progress, when set, is told what is being done.
	Progress func(string)
}

// DefaultSizes are the paper's, 1 B to 1 GB.
var DefaultSizes = []int{1, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// The ways of a value from one function to the next, from the slowest.
const (
	// WayStorage: the first PUTs it into an object store on loopback, the second
	// GETs it.
	WayStorage = "storage"
	// WayHTTP: the first POSTs it to the HTTP server that stands before the
	// second, on loopback.
	WayHTTP = "http"
	// WaySocket: as frames of the lanes' Unix sockets, through the agent.
	WaySocket = "socket"
	// WayNew: in shared memory, new for each value, as forked processes do.
	WayNew = "shared, new"
	// WayKept: in shared memory that the first process keeps, as pools do.
	WayKept = "shared, kept"
	// WayMapped is WayKept until the second process has it mapped, before it
	// makes an object of it: the move without the function's own copy.
	WayMapped = "shared, mapped"
	// WayRead is the kept memory read through by a process that does not copy:
	// the agent, which has it mapped.
	WayRead = "shared, read"
	// WayCall: a function of the same process is given the object.
	WayCall = "same process"
	// WayMemcpy is no way, but what copying takes on this machine in the same
	// rounds: a warm copy in memory.
	WayMemcpy = "memcpy"
)

// Ways are all of them, in the order of a report.
var Ways = []string{WayStorage, WayHTTP, WaySocket, WayNew, WayKept, WayMapped, WayRead, WayCall, WayMemcpy}

// Transfer measures the ways at each size. It leaves nothing running.
func Transfer(ctx context.Context, o TransferOptions) (_ *TransferReport, err error) {
	if len(o.Sizes) == 0 {
		o.Sizes = DefaultSizes
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	b, err := newTransferBench(ctx, slices.Max(o.Sizes))
	if err != nil {
		return nil, fmt.Errorf("bench transfer: %w", err)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	report := &TransferReport{}
	for _, size := range o.Sizes {
		rounds := o.Rounds
		if rounds == 0 {
			rounds = min(31, max(3, int(3e8)/size))
		}
		o.Progress(fmt.Sprintf("%s, %d rounds", sizeText(size), rounds))
		row, err := b.measure(ctx, size, rounds)
		if err != nil {
			return nil, fmt.Errorf("bench transfer: %s: %w", sizeText(size), err)
		}
		report.Rows = append(report.Rows, row)
	}
	return report, nil
}

// transferBench is what the ways need.
type transferBench struct {
	dir            string
	sockets        *host.Zygote
	shared         *host.Zygote
	store          *objectstore.Server
	listener       net.Listener
	server         *http.Server
	served         chan error
	socket, fresh  pair
	kept           pair
	source, target []byte // of memcpy
}

// pair is two processes, the first of which gives.
type pair struct{ first, second *host.Worker }

func newTransferBench(ctx context.Context, largest int) (_ *transferBench, err error) {
	b := &transferBench{served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "chiron-bench"); err != nil {
		return nil, err
	}
	program := filepath.Join(b.dir, "host")
	if err := errors.Join(writeFunctions(b.dir), host.WriteProgram(program)); err != nil {
		return nil, err
	}
	interpreter, err := host.FindInterpreter(ctx, "python", "")
	if err != nil {
		return nil, err
	}
	spec := host.Spec{Dir: b.dir, Program: program, Interpreter: interpreter.Path, MaxBody: max(largest, 1<<20), ShareOver: -1}
	for _, name := range []string{"giver", "taker", "fetcher"} {
		spec.Functions = append(spec.Functions, host.Function{Name: name, File: filepath.Join(name, "handler.py")})
	}
	if b.sockets, err = host.Start(ctx, spec); err != nil {
		return nil, err
	}
	spec.ShareOver = 0
	if b.shared, err = host.Start(ctx, spec); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		pair   *pair
		zygote *host.Zygote
		keep   bool
	}{{&b.socket, b.sockets, false}, {&b.fresh, b.shared, false}, {&b.kept, b.shared, true}} {
		o := host.WorkerOptions{CPU: host.AnyCPU, KeepMemory: p.keep}
		if p.pair.first, err = p.zygote.Spawn(ctx, o); err != nil {
			return nil, err
		}
		if p.pair.second, err = p.zygote.Spawn(ctx, o); err != nil {
			return nil, err
		}
	}
	room := int64(2 * max(largest, 1<<20))
	if b.store, err = objectstore.ListenLarge(ctx, "127.0.0.1:0", objectstore.Limits{Object: room, Total: room}); err != nil {
		return nil, err
	}
	if b.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	b.server = &http.Server{Handler: http.HandlerFunc(b.watchdog), ReadHeaderTimeout: time.Minute}
	go func() { b.served <- b.server.Serve(b.listener) }()
	return b, nil
}

// watchdog stands before the second function of WayHTTP, as OpenFaaS' does.
func (b *transferBench) watchdog(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, max(r.ContentLength, 0))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, err := b.socket.second.Call(r.Context(), host.Call{Function: "taker", Body: body})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(reply.Body) // who left is told by its own error
}

func (b *transferBench) close() error {
	var errs []error
	if b.server != nil {
		errs = append(errs, b.server.Close())
		<-b.served
	}
	if b.store != nil {
		errs = append(errs, b.store.Close())
	}
	for _, z := range []*host.Zygote{b.sockets, b.shared} {
		if z != nil {
			z.Close()
		}
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// measure has every way move a value of a size, round after round.
func (b *transferBench) measure(ctx context.Context, size, rounds int) (TransferRow, error) {
	b.source, b.target = make([]byte, size), make([]byte, size)
	for i := range b.source {
		b.source[i] = byte(i)
	}
	defer func() { b.source, b.target = nil, nil }()
	times := make(map[string][]time.Duration)
	for round := range rounds + 1 { // the first makes the value and warms
		if err := ctx.Err(); err != nil {
			return TransferRow{}, err
		}
		got, err := b.round(ctx, size)
		if err != nil {
			return TransferRow{}, err
		}
		if round == 0 {
			continue
		}
		for way, d := range got {
			times[way] = append(times[way], d)
		}
	}
	row := TransferRow{Size: size, Rounds: rounds, Times: make(map[string]time.Duration)}
	for way, t := range times {
		slices.Sort(t)
		row.Times[way] = t[len(t)/2]
	}
	return row, nil
}

// followers are how many values follow each other in kept memory, of which the
// last is measured: the memory is made with the first and mapped with the second,
// and given back when none comes for memfile.KeepFor.
const followers = 3

func (b *transferBench) round(ctx context.Context, size int) (map[string]time.Duration, error) {
	got := make(map[string]time.Duration)
	storage, err := b.storage(ctx, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", WayStorage, err)
	}
	got[WayStorage] = storage
	if got[WayHTTP], err = b.told(ctx, b.socket.first, fmt.Sprintf("post %d %s", size, b.listener.Addr()), size); err != nil {
		return nil, fmt.Errorf("%s: %w", WayHTTP, err)
	}
	if got[WayCall], err = b.told(ctx, b.socket.first, fmt.Sprintf("call %d -", size), -1); err != nil {
		return nil, fmt.Errorf("%s: %w", WayCall, err)
	}
	for _, w := range []struct {
		way  string
		pair pair
	}{{WaySocket, b.socket}, {WayNew, b.fresh}, {WayKept, b.kept}} {
		// Kept memory is that of values that follow each other.
		var r moved
		times := 1
		if w.way == WayKept {
			times = followers
		}
		for range times {
			if r, err = b.through(ctx, w.pair, size); err != nil {
				return nil, fmt.Errorf("%s: %w", w.way, err)
			}
		}
		got[w.way] = r.had
		if w.way == WayKept && r.shared {
			got[WayMapped], got[WayRead] = r.mapped, r.read
		}
	}
	start := time.Now()
	copy(b.target, b.source)
	got[WayMemcpy] = time.Since(start)
	return got, nil
}

// told has the giver give, by a way whose end it is told.
func (b *transferBench) told(ctx context.Context, w *host.Worker, order string, size int) (time.Duration, error) {
	r, err := w.Call(ctx, host.Call{Function: "giver", Body: []byte(order)})
	if err != nil {
		return 0, err
	}
	return b.since(ctx, w, r.Body, size)
}

// since is the time from when the giver had its value to what a taker said.
func (b *transferBench) since(ctx context.Context, first *host.Worker, taken []byte, size int) (time.Duration, error) {
	fields := strings.Fields(string(taken))
	var end int64
	var n int
	if _, err := fmt.Sscan(string(taken), &end); err != nil {
		return 0, fmt.Errorf("the second function answered %.100q: %w", taken, err)
	}
	if size >= 0 {
		if len(fields) != 2 {
			return 0, fmt.Errorf("the second function answered %.100q", taken)
		}
		if _, err := fmt.Sscan(fields[1], &n); err != nil || n != size {
			return 0, fmt.Errorf("the second function got %s bytes of %d", fields[1], size)
		}
	}
	begin, err := given(ctx, first)
	return time.Duration(end - begin), err
}

// given is when the giver had its value, CLOCK_MONOTONIC.
func given(ctx context.Context, w *host.Worker) (int64, error) {
	r, err := w.Call(ctx, host.Call{Function: "giver", Body: []byte("when 0 -")})
	if err != nil {
		return 0, err
	}
	var at int64
	if _, err := fmt.Sscan(string(r.Body), &at); err != nil {
		return 0, fmt.Errorf("the first function answered %.100q: %w", r.Body, err)
	}
	return at, nil
}

func (b *transferBench) storage(ctx context.Context, size int) (time.Duration, error) {
	if _, err := b.socket.first.Call(ctx, host.Call{Function: "giver", Body: fmt.Appendf(nil, "put %d %s", size, b.store.Addr())}); err != nil {
		return 0, err
	}
	r, err := b.socket.second.Call(ctx, host.Call{Function: "fetcher", Body: []byte(b.store.Addr())})
	if err != nil {
		return 0, err
	}
	return b.since(ctx, b.socket.first, r.Body, size)
}

// moved is what became of a value that went through the agent.
type moved struct {
	had    time.Duration // the second function has its object
	mapped time.Duration // its process has the memory mapped
	read   time.Duration // the agent has read it through
	shared bool
}

// through has the agent hand a result to the next function, as a walk does.
func (b *transferBench) through(ctx context.Context, p pair, size int) (moved, error) {
	r, err := p.first.Call(ctx, host.Call{Function: "giver", Body: fmt.Appendf(nil, "result %d -", size), KeepMemory: true})
	if err != nil {
		return moved{}, err
	}
	if r.Memory != nil {
		defer r.Memory.Release()
	}
	handed := monotonic()
	t, err := p.second.Call(ctx, host.Call{Function: "taker", Body: r.Body, Memory: r.Memory, KeepMemory: true})
	if err != nil {
		return moved{}, err
	}
	begin, err := given(ctx, p.first)
	if err != nil {
		return moved{}, err
	}
	m := moved{shared: r.Memory != nil, mapped: time.Duration(handed-begin) + t.Start}
	if m.had, err = b.since(ctx, p.first, t.Body, size); err != nil {
		return moved{}, err
	}
	if !m.shared {
		return m, nil
	}
	// The same move again, to a reader that copies nothing.
	again, err := p.first.Call(ctx, host.Call{Function: "giver", Body: fmt.Appendf(nil, "result %d -", size), KeepMemory: true})
	if err != nil {
		return moved{}, err
	}
	if again.Memory != nil {
		defer again.Memory.Release()
	}
	if sum(again.Body) == 0 {
		return moved{}, errors.New("the value came as zeros")
	}
	end := monotonic()
	if begin, err = given(ctx, p.first); err != nil {
		return moved{}, err
	}
	m.read = time.Duration(end - begin)
	return m, nil
}

// sum touches every cache line (64 bytes).
func sum(b []byte) (s uint64) {
	for i := 0; i < len(b); i += 64 {
		s += uint64(b[i])
	}
	return s
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails only for an unknown clock
	return ts.Nano()
}

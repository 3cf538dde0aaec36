package wrap

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// Options say what the agent runs and how. The zero value of every field but
// Dir and Listen is usable.
type Options struct {
	// Dir is the bundle folder.
	Dir string
	// PlanDir is a folder with plan.json and workflow.asl.json, and Wrap a wrap of that
	// plan: it is run, with the bundle's functions, instead of what the bundle was
	// built as. The plan's id is its digest. Empty: the bundle's own.
	PlanDir, Wrap string
	// Listen is the address to serve on: "tcp://127.0.0.1:0",
	// "unix:///run/wrap.sock" or "127.0.0.1:8080". A port without a host means
	// loopback; all interfaces have to be asked for ("0.0.0.0:8080").
	Listen string
	// Peers are the addresses of the plan's other wraps, by wrap name. Only
	// wrap 1 needs them. "http1://HOST:PORT" is spoken to in HTTP/1.1, other TCP
	// addresses in HTTP/2; a wrap behind a gateway is "http://HOST:PORT/PATH".
	Peers map[string]string
	// Env is what every function finds in its environment, "NAME=value", also
	// where the bundle has another value of the variable.
	Env []string
	// CPUs are the machine's CPU ids that this wrap may use: a plan's CPU index
	// i means CPUs[i]. Empty: all that this process may run on, in ascending
	// order. Where these are more than the plan gives the wrap, others run on them
	// too (a container that is held to its CPUs by time, not by number), and no
	// process is pinned: all wraps of a machine would choose the same.
	CPUs []int
	// Log takes the agent's events and what the functions print; nil discards.
	Log *slog.Logger
	// GracePeriod bounds the drain after the serving context ends; 0 means
	// DefaultGracePeriod.
	GracePeriod time.Duration
	// Linger is how long requests are taken after the serving context ends, before
	// the drain, while every answer asks its caller to close the connection: for
	// callers behind a balancer, which hear later that this wrap ends.
	Linger time.Duration
	// MaxBody is the largest request body taken, bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// Concurrency is the most requests worked on at once; 0 means the
	// manifest's, or DefaultConcurrency.
	Concurrency int
	// Queue is the most requests that wait beyond it, first come first served;
	// more are answered 429. 0 means DefaultQueue, negative means none.
	Queue int
	// WorkDir is the functions' current folder; empty: a fresh one that goes
	// when the host does.
	WorkDir string
	// FunctionsGroup is the folder of a control group that the functions' processes
	// are put into; empty: they stay in the agent's.
	FunctionsGroup string
	// MemoryGroup is the folder of the control group that limits the wrap's
	// memory; empty: the agent's own.
	MemoryGroup string
	// DataLimit is RLIMIT_DATA of each process of functions, bytes: what holds a
	// function where no control group does. 0: none.
	DataLimit int64
	// ProcessLimit is how many processes and threads more than it has at the start
	// the user may have for a function to start another (RLIMIT_NPROC); 0: none.
	ProcessLimit int
	// Interpreter is the path of the bundle's; empty: it is looked for.
	Interpreter string
	// Template is a warm interpreter, of the same path, that the language host is
	// forked of; zero: a new one is started.
	Template host.TemplateRef
	// Timeout of a whole request; 0 means none (each call has its function's
	// timeout in any case). A request's X-Timeout header may shorten it.
	Timeout time.Duration
	// Subreaper says that the agent is alone in its process of the operating
	// system: it adopts what its functions' processes leave behind, reaps it, and
	// kills everything below itself at its end. Not for an agent inside a program
	// that starts other processes.
	Subreaper bool
	// Leash, when set, is read until its end; then the agent kills its whole
	// process tree and Serve returns ErrLeashCut. It is os.Stdin under --leash:
	// whoever holds the pipe's other end takes the agent along when it dies.
	Leash *os.File

	// bodyPatience is what a caller has for the whole of its request's body,
	// answerPatience what it has for each answerPart of its answer; 0 means the
	// constants of these names.
	bodyPatience   time.Duration
	answerPatience time.Duration
}

// Defaults of Options.
const (
	DefaultGracePeriod = 10 * time.Second
	// DefaultMaxBody is 16 MiB: a body is held in memory, once for each request.
	DefaultMaxBody     = 16 << 20
	DefaultConcurrency = plan.DefaultConcurrency
	DefaultQueue       = 1024
)

// ErrLeashCut is what Serve returns after the leash's other end was closed.
var ErrLeashCut = errors.New("the process that holds this wrap's leash is gone")

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.GracePeriod <= 0 {
		o.GracePeriod = DefaultGracePeriod
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.bodyPatience <= 0 {
		o.bodyPatience = bodyPatience
	}
	if o.answerPatience <= 0 {
		o.answerPatience = answerPatience
	}
	switch {
	case o.Queue == 0:
		o.Queue = DefaultQueue
	case o.Queue < 0:
		o.Queue = 0
	}
	return o
}

// ParsePeer reads a --peer flag: "wrap-2=unix:///run/wrap-2.sock".
func ParsePeer(s string) (name, address string, err error) {
	name, address, ok := strings.Cut(s, "=")
	if !ok || name == "" || address == "" {
		return "", "", fmt.Errorf("peer %q is not NAME=ADDRESS: write for example wrap-2=unix:///run/wrap-2.sock", s)
	}
	if _, err := new(peer).locate(address); err != nil {
		return "", "", fmt.Errorf("peer %s: %w", name, err)
	}
	return name, address, nil
}

// parsePeerAddress reads an address of Options.Peers.
func parsePeerAddress(s string) (network, address string, http1 bool, err error) {
	if rest, ok := strings.CutPrefix(s, "http1://"); ok {
		network, address, err = parseTCP(rest)
		return network, address, true, err
	}
	network, address, err = ParseAddress(s)
	return network, address, false, err
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/wrap"
)

// wrapFlags are the flags of "chiron wrap".
type wrapFlags struct {
	listen, workDir, bytecode string
	functionsGroup, memGroup  string
	dataLimit                 int64
	processLimit              int
	peers                     []string
	cpus                      string
	leash                     bool
	concurrency, queue        int
	maxBody                   int64
	grace, timeout            time.Duration
	interpreter, template     string
	join, passEnv             []string
}

// peersVariable gives what --peer does, with commas, on platforms that set
// variables of a container but not its arguments.
const peersVariable = "CHIRON_PEERS"

func newWrap(a *app) *cobra.Command {
	f := &wrapFlags{}
	cmd := &cobra.Command{
		Use:    "wrap DIR --listen ADDRESS",
		Short:  "Run one wrap: serve the bundle in DIR (what a target starts)",
		Hidden: true,
		Long: `Runs one wrap: the agent that serves the bundle in DIR until SIGTERM, then
finishes the requests inside. Targets start it; you rarely need to.
Its log, one JSON object a line with what the functions print, is standard error.`,
		Example: `  chiron wrap .chiron/bundles/wrap-1 --listen 127.0.0.1:9001 \
      --peer wrap-2=unix:///run/wrap-2.sock`,
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(f.peers) == 0 {
				f.peers = strings.FieldsFunc(a.env(peersVariable), func(r rune) bool { return r == ',' || r == ' ' })
			}
			o, err := f.options(args[0])
			if err != nil {
				return err
			}
			o.Log = slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: a.logLevel()}))
			if err := runWrap(cmd.Context(), o); err != nil {
				// The log is the agent's one voice: who started it reads the
				// last line of it.
				o.Log.Error(err.Error())
				return errSaid
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`address`: 127.0.0.1:8080, tcp://HOST:PORT or unix:///PATH (needed)")
	flags.StringArrayVar(&f.peers, "peer", nil, "another wrap's address, as `NAME=ADDRESS`; once for each;\ndefault: $"+peersVariable+", with commas")
	flags.StringVar(&f.cpus, "cpus", "", "the machine's CPUs to use, as `0,2-3`; default: those of this process")
	flags.BoolVar(&f.leash, "leash", false, "end, and kill everything below, when standard input ends")
	flags.IntVar(&f.concurrency, "concurrency", 0, "most requests worked on at once; 0: the bundle's, or "+strconv.Itoa(wrap.DefaultConcurrency))
	flags.IntVar(&f.queue, "queue", wrap.DefaultQueue, "most requests that wait; more are answered 429")
	flags.Int64Var(&f.maxBody, "max-body", wrap.DefaultMaxBody, "largest request body, `bytes`")
	flags.DurationVar(&f.grace, "grace", wrap.DefaultGracePeriod, "how long requests may take to end after SIGTERM")
	flags.DurationVar(&f.timeout, "timeout", 0, "most that a request may take; 0: no bound but the functions' own")
	flags.StringVar(&f.functionsGroup, "functions-group", "", "control group `folder` of the functions' processes")
	flags.StringVar(&f.memGroup, "memory-group", "", "control group `folder` of the memory limit; default: the own one")
	flags.Int64Var(&f.dataLimit, "data-limit", 0, "private memory of each process of functions, `bytes`; 0: no bound")
	flags.IntVar(&f.processLimit, "process-limit", 0, "processes and threads that functions may add; 0: no bound")
	flags.StringArrayVar(&f.passEnv, "pass-env", nil, "`variable` of this environment that functions get; once for each")
	flags.StringVar(&f.workDir, "workdir", "", "the functions' current `folder`; default: a passing one")
	flags.StringVar(&f.interpreter, "interpreter", "", "the bundle's interpreter, a `file`; default: it is looked for")
	flags.StringVar(&f.template, "template", "", "`socket` of a warm interpreter that the language host is forked of")
	flags.StringArrayVar(&f.join, "join", nil, "cgroup.procs `file` that a forked host joins; once for each")
	flags.StringVar(&f.bytecode, "bytecode-cache", "", "`folder` that keeps compiled modules; default: none is")
	return cmd
}

func (f *wrapFlags) options(dir string) (wrap.Options, error) {
	o := wrap.Options{
		Dir: dir, Listen: f.listen, WorkDir: f.workDir, BytecodeCache: f.bytecode,
		Concurrency: f.concurrency, Queue: f.queue, MaxBody: f.maxBody,
		GracePeriod: f.grace, Timeout: f.timeout,
		FunctionsGroup: f.functionsGroup, MemoryGroup: f.memGroup, DataLimit: f.dataLimit, ProcessLimit: f.processLimit,
		Interpreter: f.interpreter, Template: host.TemplateRef{Socket: f.template, Join: f.join},
		Subreaper: true, // this process is the agent's alone
	}
	switch {
	case f.listen == "":
		return o, usagef("--listen is missing: give the address to serve on, such as 127.0.0.1:9001")
	case f.concurrency < 0:
		return o, usagef("--concurrency %d: give a positive number, or 0 for the default", f.concurrency)
	case f.dataLimit < 0 || f.processLimit < 0:
		return o, usagef("--data-limit %d, --process-limit %d: give positive numbers, or 0 for no bound", f.dataLimit, f.processLimit)
	case f.maxBody < 0:
		return o, usagef("--max-body %d: give a positive number of bytes", f.maxBody)
	}
	if _, _, err := wrap.ParseAddress(f.listen); err != nil {
		return o, usagef("--listen: %w", err)
	}
	if f.queue == 0 {
		o.Queue = -1 // wrap.Options has 0 for its default
	}
	o.Peers = make(map[string]string)
	for _, p := range f.peers {
		name, address, err := wrap.ParsePeer(p)
		if err != nil {
			return o, usagef("--peer: %w", err)
		}
		if o.Peers[name] != "" {
			return o, usagef("--peer: %s is given twice", name)
		}
		o.Peers[name] = address
	}
	o.Env = f.passed()
	var err error
	if o.CPUs, err = parseCPUs(f.cpus); err != nil {
		return o, usagef("--cpus: %w", err)
	}
	if f.leash {
		o.Leash = os.Stdin
	}
	return o, nil
}

// passed are the variables of this environment that functions are to find in
// theirs; their values must not be seen on a command line.
func (f *wrapFlags) passed() []string {
	var env []string
	for _, name := range f.passEnv {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func runWrap(ctx context.Context, o wrap.Options) error {
	agent, err := wrap.New(ctx, o)
	if err != nil {
		return err
	}
	return agent.Serve(ctx)
}

// maxCPU is the largest number that Linux can give to a CPU (CONFIG_NR_CPUS).
const maxCPU = 8191

// parseCPUs reads a list in the form of cpuset(7): "0,2-3". Empty is nil.
func parseCPUs(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	seen := make(map[int]bool)
	var cpus []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last > maxCPU {
			return nil, fmt.Errorf("%q in %q is no CPU number or range: write for example 0,2-3", part, s)
		}
		for cpu := first; cpu <= last; cpu++ {
			if seen[cpu] {
				return nil, fmt.Errorf("CPU %d is named twice in %q", cpu, s)
			}
			seen[cpu] = true
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

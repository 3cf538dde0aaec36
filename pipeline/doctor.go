package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/profiler"
)

// Level says how a finding bears on what chiron can do here.
type Level string

// The levels of a finding.
const (
	// Good: it is there.
	Good Level = "good"
	// Lacks: chiron works without, at the cost that the finding names.
	Lacks Level = "lacks"
	// Missing: chiron does not work without.
	Missing Level = "missing"
)

// Finding is what one look at the machine gave.
type Finding struct {
	// Subject that was looked at: "python", "tracing", …
	Subject string `json:"subject"`
	Level   Level  `json:"level"`
	// Found in a line.
	Found string `json:"found"`
	// Cost of what lacks; empty where nothing does.
	Cost string `json:"cost,omitempty"`
	// Fix says what to do about it.
	Fix string `json:"fix,omitempty"`
}

// Examination is what the machine offers.
type Examination struct {
	Machine  profile.Machine `json:"machine"`
	Findings []Finding       `json:"findings"`
}

// Usable says whether nothing is missing that chiron cannot do without.
func (e *Examination) Usable() bool {
	for _, f := range e.Findings {
		if f.Level == Missing {
			return false
		}
	}
	return true
}

// ExamineOptions of Examine.
type ExamineOptions struct {
	// Listen is the address that "chiron up" would serve on; empty: not looked at.
	Listen string
}

// Examine looks at what this machine offers, and says what each lack costs. It
// changes nothing.
func Examine(ctx context.Context, o ExamineOptions) *Examination {
	e := &Examination{Machine: profile.ThisMachine()}
	add := func(f ...Finding) { e.Findings = append(e.Findings, f...) }
	add(examineCPUs(), examineLoad())
	add(examinePythons(ctx)...)
	add(examineTracers(ctx)...)
	add(examineMemory())
	add(examineLimits()...)
	add(examineCache())
	if o.Listen != "" {
		add(examinePort(ctx, o.Listen))
	}
	return e
}

func examineCPUs() Finding {
	f := Finding{Subject: "CPUs", Level: Good}
	all := runtime.NumCPU() // those that this process may run on
	if cpus, err := affinity.CPUs(); err == nil {
		all = len(cpus)
	}
	f.Found = fmt.Sprintf("%d usable", all)
	if all == 1 {
		f.Level, f.Found = Lacks, "1 usable"
		f.Cost = "functions never run at the same time: only their waits overlap"
		f.Fix = "give the machine (or this container) more CPUs"
	}
	return f
}

// busyShare is the load per CPU from which measurements are not to be trusted.
const busyShare = 0.3

func examineLoad() Finding {
	f := Finding{Subject: "quiet", Level: Good}
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return Finding{Subject: "quiet", Level: Lacks, Found: "the load is not known", Cost: "a busy machine would go unnoticed"}
	}
	load, err := strconv.ParseFloat(strings.Fields(string(text) + " ")[0], 64)
	if err != nil {
		return Finding{Subject: "quiet", Level: Lacks, Found: "the load is not known", Cost: "a busy machine would go unnoticed"}
	}
	f.Found = fmt.Sprintf("load %.2f over the last minute", load)
	if load > busyShare*float64(runtime.NumCPU()) {
		f.Level = Lacks
		f.Cost = "what is measured now includes waits for a CPU that others use"
		f.Fix = "measure again when the machine is quiet"
	}
	return f
}

func examinePythons(ctx context.Context) []Finding {
	found, err := host.Interpreters(ctx)
	if err != nil || len(found) == 0 {
		why := "none of version " + host.OldestPython + " or newer"
		if err != nil {
			why = err.Error()
		}
		return []Finding{{
			Subject: "python", Level: Missing, Found: why,
			Cost: "no function can run",
			Fix:  "sudo apt-get install -y python3 python3-pip",
		}}
	}
	var findings []Finding
	first, err := host.FindInterpreter(ctx, "python", "")
	for _, i := range found {
		f := Finding{Subject: "python", Level: Good, Found: i.Version + " at " + i.Path}
		if err == nil && i.Path == first.Path {
			f.Found += ", the default"
		}
		if !hasModule(ctx, i.Path, "pip") {
			f.Level = Lacks
			f.Cost = "functions with requirements cannot be bundled for " + i.Version
			f.Fix = "sudo apt-get install -y python3-pip (or: " + i.Path + " -m ensurepip)"
		}
		findings = append(findings, f)
	}
	return findings
}

// moduleTimeout bounds one look for a module.
const moduleTimeout = 10 * time.Second

// hasModule says whether an interpreter finds a module, without importing it.
func hasModule(ctx context.Context, python, module string) bool {
	ctx, cancel := context.WithTimeout(ctx, moduleTimeout)
	defer cancel()
	look := fmt.Sprintf("import importlib.util, sys; sys.exit(importlib.util.find_spec(%q) is None)", module)
	cmd := exec.CommandContext(ctx, python, "-I", "-c", look)
	cmd.WaitDelay = time.Second
	return cmd.Run() == nil
}

func examineTracers(ctx context.Context) []Finding {
	all := profiler.Tracers(ctx)
	var findings []Finding
	used := "" // the first that works
	for _, t := range all {
		if t.Err == nil {
			used = t.Name
			break
		}
	}
	better := true // than the one that is used
	for _, t := range all {
		f := Finding{Subject: "tracing", Level: Good, Found: t.Name + ": " + t.Sees}
		if t.Name == used {
			better = false
			f.Found += "; it is used"
		}
		if t.Err != nil {
			f.Level, f.Found = Lacks, t.Name+": "+t.Err.Error()
			f.Cost = "profiles are made with " + used + ", and know less of what functions wait for"
			if !better {
				f.Cost = "none while " + used + " works"
			}
			f.Fix = "see the line itself"
			if t.Name == "strace" && errors.Is(t.Err, exec.ErrNotFound) {
				f.Fix = "sudo apt-get install -y strace"
			}
		}
		findings = append(findings, f)
	}
	if used == "" && len(findings) > 0 {
		last := &findings[len(findings)-1]
		last.Level, last.Cost = Missing, "functions cannot be profiled"
	}
	return findings
}

// littleMemory is what the examples run in, with room.
const littleMemory = 1 << 30

func examineMemory() Finding {
	f := Finding{Subject: "memory", Level: Good}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Finding{Subject: "memory", Level: Lacks, Found: "not known: " + err.Error(), Cost: "too many processes would go unnoticed"}
	}
	free := meminfo(string(text), "MemAvailable")
	f.Found = fmt.Sprintf("%.1f GiB free of %.1f GiB", gib(free), gib(meminfo(string(text), "MemTotal")))
	if free < littleMemory {
		f.Level = Lacks
		f.Cost = "plans with many processes (one-to-one) may not fit"
		f.Fix = "close other programs"
	}
	return f
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

// meminfo finds a line of /proc/meminfo, in bytes; 0 where it is not there.
func meminfo(text, key string) int64 {
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || name != key || len(fields) == 0 {
			continue
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}

func examineCache() Finding {
	dir, err := os.UserCacheDir()
	if err == nil {
		// The nearest folder that exists decides whether one can be made in it.
		err = unix.Access(nearest(dir), unix.W_OK)
	}
	if err != nil {
		return Finding{
			Subject: "cache", Level: Lacks, Found: "no folder to keep things in: " + err.Error(),
			Cost: "the calibration and installed requirements are not kept between runs",
			Fix:  "set HOME or XDG_CACHE_HOME to a folder that you may write to",
		}
	}
	return Finding{Subject: "cache", Level: Good, Found: dir}
}

func examinePort(ctx context.Context, address string) Finding {
	f := Finding{Subject: "address", Level: Good, Found: address + " is free for chiron up"}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		f.Level, f.Found = Lacks, address+" cannot be used: "+err.Error()
		f.Cost = "chiron up needs another address"
		f.Fix = "chiron up --listen 127.0.0.1:PORT"
		return f
	}
	_ = l.Close() // nobody was served
	return f
}

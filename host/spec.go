package host

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/internal/cgroup"
)

// DefaultMaxBody is the body limit of a Spec that names none, in bytes.
const DefaultMaxBody = 16 << 20

// Spec says what a zygote imports and how it runs. Paths are absolute.
type Spec struct {
	// Dir is the folder that functions' files are relative to: the bundle.
	Dir string
	// Program is the folder that holds chiron_host (WriteProgram makes one).
	Program string
	// Interpreter is the path of a CPython 3.8 or newer (FindInterpreter).
	Interpreter string
	Functions   []Function
	// SitePath lists folders of installed requirements; they come before the
	// interpreter's own packages.
	SitePath []string
	// Env is added to the environment, which is otherwise built from nothing:
	// PATH, HOME, LANG, TMPDIR and TZ. "NAME=value".
	Env []string
	// WorkDir is the current folder of every process; empty: a fresh one,
	// removed by Close.
	WorkDir string
	// Template is a warm interpreter that the zygote is forked of; zero: a new
	// one is started, as it is where the template cannot fork. It must be of the
	// same Interpreter and Program.
	Template TemplateRef
	// Wrapper is put before the interpreter's command line ("strace", "-f", …).
	Wrapper []string
	// CPUs confines all processes to these of the machine's; empty: any.
	CPUs []int
	// Group is the folder of a control group that all processes are put into, before
	// anything of a function is run; empty: they stay in this process' own.
	Group cgroup.Group
	// ProcessLimit is RLIMIT_NPROC of workers: the most processes and threads that
	// their user may have, on the whole machine, for one of them to start another;
	// the kernel does not ask it of root. 0: none.
	ProcessLimit int
	// MaxBody bounds the body of a call and of a reply, in bytes;
	// 0: DefaultMaxBody.
	MaxBody int
	// ShareOver is the size of a body, in bytes, over which it goes through
	// shared memory; 0: DefaultShareOver, negative: none does.
	ShareOver int
	// Log takes what functions print, line by line; nil: dropped. It is called
	// from several goroutines and must not block for long: a call's reply
	// waits behind its lines.
	Log func(LogLine)
	// StopGrace bounds how long Close waits for processes to end by
	// themselves before it kills them; 0: one second.
	StopGrace time.Duration
}

// Function is one handler that the zygote imports.
type Function struct {
	Name string
	// File of the handler, absolute or relative to Spec.Dir.
	File string
	// Symbol that is called; empty: handle, handler or lambda_handler,
	// whichever the file defines first in this order.
	Symbol string
	// Kind of handler; empty: told by symbol and number of parameters.
	Kind Kind
	// Env of the function. Functions share their processes: where two name
	// the same variable with different values, each sees its own through
	// os.environ and os.getenv.
	Env map[string]string
	// Memory that the function was promised, bytes; only told to Lambda
	// handlers (context.memory_limit_in_mb).
	Memory int64
}

// Kind says what a handler takes and returns.
type Kind string

// The kinds of handler.
const (
	// KindText is OpenFaaS' handle(req): the body as str in; str, bytes, None
	// or a JSON value out.
	KindText Kind = "text"
	// KindEvent is handle(event, context) of OpenFaaS' python3-http template.
	KindEvent Kind = "event"
	// KindLambda is AWS Lambda's handler(event, context): JSON in, JSON out.
	KindLambda Kind = "lambda"
	// KindLambda1 is the same without a context.
	KindLambda1 Kind = "lambda1"
)

// LogLine is one line that a function printed.
type LogLine struct {
	// Function and RequestID of the call that printed it through sys.stdout or
	// sys.stderr; empty where it came another way (at import, from C code, a
	// subprocess or a thread that the handler started).
	Function  string
	RequestID string
	// Stream is "stdout" or "stderr".
	Stream string
	// Text without its line end; valid UTF-8.
	Text string
}

func (s *Spec) check() error {
	var errs []error
	for _, p := range []struct{ what, path string }{
		{"Dir", s.Dir}, {"Program", s.Program}, {"Interpreter", s.Interpreter},
	} {
		if !filepath.IsAbs(p.path) {
			errs = append(errs, fmt.Errorf("host.Spec.%s %q: want an absolute path", p.what, p.path))
		}
	}
	if len(s.Functions) == 0 {
		errs = append(errs, errors.New("host.Spec.Functions is empty: name at least one"))
	}
	if len(s.Functions) > maxFunctions {
		errs = append(errs, fmt.Errorf("%d functions: at most %d fit one host", len(s.Functions), maxFunctions))
	}
	if s.MaxBody < 0 || s.MaxBody > maxBodyLimit {
		errs = append(errs, fmt.Errorf("Spec.MaxBody %d: want 0 to %d bytes", s.MaxBody, maxBodyLimit))
	}
	seen := make(map[string]bool, len(s.Functions))
	for _, f := range s.Functions {
		switch {
		case f.Name == "":
			errs = append(errs, fmt.Errorf("function with file %q has no name", f.File))
		case seen[f.Name]:
			errs = append(errs, fmt.Errorf("function %q is named twice", f.Name))
		}
		seen[f.Name] = true
	}
	if len(errs) > 0 {
		return fmt.Errorf("start host: %w", errors.Join(errs...))
	}
	return nil
}

func (s *Spec) maxBody() int {
	if s.MaxBody == 0 {
		return DefaultMaxBody
	}
	return s.MaxBody
}

func (s *Spec) shareOver() int {
	switch {
	case s.ShareOver == 0:
		return DefaultShareOver
	case s.ShareOver < 0:
		return math.MaxInt32
	}
	return s.ShareOver
}

// shares says whether a body of n bytes goes through shared memory.
func (s *Spec) shares(n int) bool { return n > s.shareOver() }

func (s *Spec) stopGrace() time.Duration {
	if s.StopGrace <= 0 {
		return time.Second
	}
	return s.StopGrace
}

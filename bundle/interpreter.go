package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// interpreter is one that functions are checked with and installed for.
type interpreter struct {
	path string
	// id is everything that decides which packages fit: two interpreters with
	// the same id may share what pip installed.
	id string
	// compiler is the id of the one that compiles as the wrap's own interpreter
	// does: that one, or one here of its version; empty: there is none.
	compiler string
	// target that packages are installed for; nil: the interpreter itself.
	target *Target
}

func findInterpreter(ctx context.Context, lang, runtime string) (string, error) {
	i, err := host.FindInterpreter(ctx, lang, runtime)
	return i.Path, err
}

// identify prints what an interpreter's packages depend on.
const identify = `import sys,sysconfig
print(sys.version.replace("\n"," "),sys.implementation.cache_tag,sysconfig.get_platform(),sysconfig.get_config_var("EXT_SUFFIX"),sep="|")`

// interpreterFor finds the interpreter that works for a wrap: the wrap's own, or
// for a target one of the target's version, else any that has pip.
func (b *builder) interpreterFor(ctx context.Context, wrap string, f *workflow.Function) (interpreter, error) {
	var target *Target
	if b.Target != nil {
		target = b.Target(wrap)
	}
	if target == nil {
		return b.interpreter(ctx, f)
	}
	if err := target.check(); err != nil {
		return interpreter{}, err
	}
	asked := *f
	asked.Runtime = target.minor()
	i, err := b.interpreter(ctx, &asked)
	if ctx.Err() != nil {
		return interpreter{}, err
	}
	if err != nil {
		asked.Runtime = ""
		if i, err = b.interpreter(ctx, &asked); err != nil {
			// It is needed where there are requirements, and said there.
			i = interpreter{}
		}
		i.compiler = ""
	}
	i.id, i.target = target.id(), target
	return i, ctx.Err()
}

// interpreter finds the interpreter that f asks for, once for each runtime.
func (b *builder) interpreter(ctx context.Context, f *workflow.Function) (interpreter, error) {
	key := f.Lang + "\x00" + f.Runtime
	if i, ok := b.interpreters[key]; ok {
		return i, nil
	}
	path, err := b.Interpreter(ctx, f.Lang, f.Runtime)
	if err != nil {
		return interpreter{}, fmt.Errorf("function %q: %w", f.Name, err)
	}
	if !filepath.IsAbs(path) {
		return interpreter{}, fmt.Errorf("function %q: interpreter %q: want an absolute path", f.Name, path)
	}
	out, err := run(ctx, command{path: path, args: []string{"-I", "-c", identify}, patience: 20 * time.Second})
	if err != nil {
		return interpreter{}, fmt.Errorf("function %q: ask interpreter %s for its version: %w", f.Name, path, err)
	}
	id := strings.TrimSpace(out.stdout)
	i := interpreter{path: path, id: id, compiler: id}
	b.interpreters[key] = i
	return i, nil
}

// command is one start of an interpreter.
type command struct {
	path, dir string
	args, env []string
	stdin     []byte
	patience  time.Duration // 0: as long as the context lives
}

type output struct{ stdout, stderr string }

// maxOutput is how much of a command's output is kept, from its end, bytes.
const maxOutput = 256 << 10

// run starts a command in a process group of its own and waits for it; where ctx
// ends first, the whole group is killed.
func run(ctx context.Context, c command) (output, error) {
	if c.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.patience, fmt.Errorf("no answer within %v", c.patience))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.Stdin = bytes.NewReader(c.stdin)
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	out := output{stdout: stdout.String(), stderr: stderr.String()}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if line := lastLine(out.stderr); line != "" {
			return out, fmt.Errorf("%w: %s", err, line)
		}
	}
	return out, err
}

// tail keeps the end of what is written to it.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - maxOutput; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.data), "\uFFFD") }

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

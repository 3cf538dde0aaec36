package container

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/internal/cgroup"
	"github.com/chiron-faas/chiron/internal/netns"
)

// Options of New. Dir is needed.
type Options struct {
	// Dir is the state folder: images, and what runs. One Engine at a time has it.
	Dir string
	// Runc is the program; empty: the one in PATH.
	Runc string
	// Grace is how long a container may take to end after its stop signal; 0: 10 s.
	Grace time.Duration
	// StartTimeout is how long a container may take to serve; 0: a minute.
	StartTimeout time.Duration
	// Gateway answers what containers ask of it, which is functions only; nil:
	// nobody does.
	Gateway http.Handler
	// Keychain has the registries' passwords; nil: docker login's.
	Keychain authn.Keychain
	// Log takes what a user should know; nil discards.
	Log *slog.Logger
}

// Defaults of Options.
const (
	DefaultGrace        = 10 * time.Second
	DefaultStartTimeout = time.Minute
)

// Engine runs containers. It is safe for concurrent use.
type Engine struct {
	options Options
	log     *slog.Logger
	images  *store
	shell   string
	// seccomp and swap say what runc and the kernel can do.
	seccomp, swap bool
	// openFiles of each process of a container.
	openFiles uint64
	// controllers of control groups that can be limited with, and why not all can.
	controllers []string
	groups      []cgroup.Mount
	server      *http.Server
	serving     sync.WaitGroup

	mu     sync.Mutex
	warned map[string]bool // guarded by mu
}

// New prepares the state folder, and takes away what an Engine that was killed has
// left running. Its error says in one line why containers cannot be run here.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{options: o, log: o.Log, warned: make(map[string]bool)}
	if os.Geteuid() != 0 {
		return nil, errors.New("images are run with runc, and only by root")
	}
	var err error
	if e.options.Runc, err = exec.LookPath(orElse(o.Runc, "runc")); err != nil {
		return nil, errors.New("images are run with runc, which is not installed (apt-get install runc)")
	}
	if e.shell, err = exec.LookPath("sh"); err != nil {
		return nil, errors.New("images are run with a shell that ends them, and there is no sh")
	}
	said, err := exec.CommandContext(ctx, e.options.Runc, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("images are run with runc, and %s fails: %w", e.options.Runc, err)
	}
	e.seccomp = strings.Contains(string(said), "libseccomp")
	n, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("images are not permitted here: %w", err)
	}
	if err := n.Close(); err != nil {
		return nil, err
	}
	if e.images, err = openStore(filepath.Join(o.Dir)); err != nil {
		return nil, err
	}
	if err := e.clear(ctx); err != nil {
		return nil, fmt.Errorf("clear what is left of containers: %w", err)
	}
	// More than this process may have takes a capability that it need not have.
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return nil, fmt.Errorf("how many files may be open: %w", err)
	}
	e.openFiles = min(own.Max, maxOpenFiles)
	e.findLimits()
	e.server = &http.Server{Handler: onlyFunctions(o.Gateway), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug)}
	return e, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// findLimits finds out which limits control groups can keep.
func (e *Engine) findLimits() {
	mounts, err := cgroup.Mounts()
	if err != nil {
		e.log.Warn("containers are without limits", "error", err.Error())
		return
	}
	e.groups = mounts
	for _, m := range mounts {
		permitted, _ := m.Permitted()
		e.controllers = append(e.controllers, permitted...)
		for _, file := range []string{"memory.memsw.limit_in_bytes", "memory.swap.max"} {
			if _, err := os.Stat(filepath.Join(m.Own, file)); err == nil {
				e.swap = true
			}
		}
	}
}

// keeps says whether a controller can limit, and warns once where it cannot.
func (e *Engine) keeps(controller string) bool {
	if slices.Contains(e.controllers, controller) {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.warned[controller] {
		e.warned[controller] = true
		e.log.Warn("containers are not limited: no such control group here", "controller", controller)
	}
	return false
}

// onlyFunctions keeps the administration from containers.
func onlyFunctions(gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := path.Clean(r.URL.Path)
		called := strings.HasPrefix(to, "/function/") || strings.HasPrefix(to, "/async-function/")
		if gateway == nil || !called {
			http.Error(w, "functions only: POST /function/NAME or /async-function/NAME", http.StatusForbidden)
			return
		}
		gateway.ServeHTTP(w, r)
	})
}

// serve answers what comes from a container's network until its listener is closed.
func (e *Engine) serve(l net.Listener) {
	e.serving.Go(func() { _ = e.server.Serve(l) }) // ends with the listener
}

// Close gives the engine up. Its functions must be down.
func (e *Engine) Close() error {
	err := e.server.Close()
	e.serving.Wait()
	return err
}

// Pull finds an image in its registry and brings it here. Where it is here already,
// its layers are not asked for.
//
// Errors: *BadImageError, *oci.RegistryError.
func (e *Engine) Pull(ctx context.Context, reference string) (*Image, error) {
	img, err := oci.Open(ctx, reference, "linux/"+runtime.GOARCH, e.options.Keychain)
	if errors.Is(err, oci.ErrNoImage) {
		return nil, &BadImageError{reference, err}
	}
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, oci.ReadError(ctx, reference, err)
	}
	i, err := e.images.pull(ctx, reference, digest.String(), img)
	var registry *oci.RegistryError
	var bad *BadImageError
	if err != nil && ctx.Err() == nil && !errors.As(err, &registry) && !errors.As(err, &bad) {
		err = &BadImageError{reference, err}
	}
	return i, err
}

// Digest asks the registry what a reference leads to now.
func (e *Engine) Digest(ctx context.Context, reference string) (string, error) {
	img, err := oci.Open(ctx, reference, "linux/"+runtime.GOARCH, e.options.Keychain)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// Held returns an image that was pulled earlier; nil: it is not here.
func (e *Engine) Held(digest string) *Image { return e.images.hold(digest) }

// Sweep removes images that nobody holds.
func (e *Engine) Sweep() { e.images.sweep() }

func (e *Engine) runDir() string { return filepath.Join(e.options.Dir, "run") }

// runc is one of its commands, with its state in the state folder.
func (e *Engine) runc(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, e.options.Runc, append([]string{"--root", e.runcDir()}, args...)...)
}

func (e *Engine) runcDir() string { return filepath.Join(e.options.Dir, "runc") }

// idOf names a container for the kernel: of two state folders never the same.
func (e *Engine) idOf(name string) string {
	sum := sha256.Sum256([]byte(e.options.Dir))
	return fmt.Sprintf("chiron-%x-%s", sum[:4], name)
}

// clear ends the containers of a process that was killed before it could.
func (e *Engine) clear(ctx context.Context) error {
	entries, err := os.ReadDir(e.runcDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		// It may have gone since: the leash does the same.
		_ = e.runc(ctx, "delete", "--force", entry.Name()).Run()
		_ = os.RemoveAll(filepath.Join(e.runcDir(), entry.Name()))
	}
	return removeLeft(e.runDir())
}

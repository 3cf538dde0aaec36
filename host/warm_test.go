package host_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

// warming are functions with and without warmup entries; each tells what ran in
// its process.
var warming = map[string]source{
	"counts": {"handler.py": `
import threading
RAN = []
def warmup():
    RAN.append("warmup in main thread: %s" % (threading.current_thread() is threading.main_thread()))
    print("warm")
def handler(event, context):
    RAN.append("handler")
    return RAN
`},
	"plain":  {"handler.py": "RAN = []\ndef handler(event, context):\n    RAN.append('handler')\n    return RAN\n"},
	"fails":  {"handler.py": "def warmup():\n    raise OSError('no database')\ndef handle(req):\n    return req\n"},
	"leaves": {"handler.py": "import sys\ndef warmup():\n    sys.exit(3)\ndef handle(req):\n    return req\n"},
	"hangs":  {"handler.py": "import time\ndef warmup():\n    time.sleep(600)\ndef handle(req):\n    return req\n"},
	"dies":   {"handler.py": "import os\ndef warmup():\n    os._exit(9)\ndef handle(req):\n    return req\n"},
	"other":  {"handler.py": "def warmup(model):\n    raise SystemError\ndef handle(req):\n    return req\n"},
	"value":  {"handler.py": "warmup = 7\ndef handle(req):\n    return req\n"},
}

func TestWarmUp(t *testing.T) {
	for _, i := range interpreters(t) {
		t.Run(i.Version, func(t *testing.T) {
			t.Parallel()
			var log logs
			spec := specOf(t, warming)
			spec.Interpreter, spec.Log = i.Path, log.add
			z := start(t, spec)
			for name, want := range map[string]bool{"counts": true, "plain": false, "fails": true, "other": false, "value": false, "nobody": false} {
				if got := z.WarmsUp(name); got != want {
					t.Errorf("WarmsUp(%s) is %v", name, got)
				}
			}
			w := spawn(t, z, anyCPU(3))
			defer w.Close()
			if err := w.WarmUp(t.Context(), "counts", "plain", "fails", "leaves", "other", "value"); err != nil {
				t.Fatal(err)
			}
			if all, busy := w.Lanes(); all != 3 || busy != 0 {
				t.Errorf("%d lanes, %d busy", all, busy)
			}
			if got := call(t, w, "counts", "1"); got != `["warmup in main thread: True","handler"]` {
				t.Errorf("in a warmed process ran %s", got)
			}
			if got := call(t, w, "plain", "1"); got != `["handler"]` {
				t.Errorf("without a warmup entry ran %s", got)
			}
			if got := call(t, w, "fails", "x"); got != "x" {
				t.Errorf("a function whose warmup failed: %q", got)
			}
			eventually(t, "logged", func() bool { return len(log.of("stdout", "")) > 0 && len(log.of("stderr", "")) > 1 })
			if got := log.of("stdout", ""); !slices.Equal(got, []string{"warm"}) {
				t.Errorf("warmup printed %q", got)
			}
			text := strings.Join(log.of("stderr", ""), "\n")
			for _, want := range []string{"warmup failed: Traceback", "OSError: no database", "SystemExit: 3"} {
				if !strings.Contains(text, want) {
					t.Errorf("the log lacks %q:\n%s", want, text)
				}
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			for _, line := range log.lines {
				if line.Function == "" {
					t.Errorf("a line of no function: %+v", line)
				}
			}
		})
	}
}

// What a handler leaves in one process is not in the next, warmed or not.
func TestWarmUpIsolates(t *testing.T) {
	z := start(t, specOf(t, warming))
	for range 3 {
		w := spawn(t, z, anyCPU(1))
		if err := w.WarmUp(t.Context(), "counts"); err != nil {
			t.Fatal(err)
		}
		if got := call(t, w, "counts", "1"); got != `["warmup in main thread: True","handler"]` {
			t.Errorf("ran %s", got)
		}
		w.Close()
	}
	w := spawn(t, z, anyCPU(1)) // not warmed: as fork mode
	defer w.Close()
	if got := call(t, w, "counts", "1"); got != `["handler"]` {
		t.Errorf("ran %s", got)
	}
}

func TestWarmUpFails(t *testing.T) {
	z := start(t, specOf(t, warming))
	t.Run("the entry hangs", func(t *testing.T) {
		w := spawn(t, z, anyCPU(1))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := w.WarmUp(ctx, "hangs"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"hangs"`) {
			t.Errorf("got %v", err)
		}
		w.Kill()
		ended(t, w)
	})
	t.Run("the entry ends the process", func(t *testing.T) {
		w := spawn(t, z, anyCPU(2))
		var exit *host.ExitError
		if err := w.WarmUp(t.Context(), "dies"); !errors.As(err, &exit) || exit.Code != 9 || exit.Function != "dies" {
			t.Errorf("got %v", err)
		}
		ended(t, w)
	})
	t.Run("killed meanwhile", func(t *testing.T) {
		for _, after := range []time.Duration{0, 200 * time.Microsecond, 2 * time.Millisecond} {
			w := spawn(t, z, anyCPU(2))
			go func() {
				time.Sleep(after)
				_ = syscall.Kill(w.Pid(), syscall.SIGKILL)
			}()
			err := w.WarmUp(t.Context(), "hangs")
			var exit *host.ExitError
			if !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL {
				t.Errorf("got %v", err)
			}
			ended(t, w)
		}
	})
	if got := call(t, spawn(t, z, anyCPU(1)), "plain", "1"); got != `["handler"]` {
		t.Errorf("afterwards ran %s", got)
	}
}

package host_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

// template starts one and makes a Spec's reference of it.
func template(tb testing.TB, interpreter string) (*host.Template, host.TemplateRef) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "t") // of a short name: unix(7)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "t.sock")
	t, err := host.StartTemplate(host.TemplateSpec{
		Interpreter: interpreter, Program: program(tb), Socket: socket, WorkDir: filepath.Join(dir, "w"),
		Log: func(line string) { tb.Log("template: " + line) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
	return t, host.TemplateRef{Socket: socket}
}

// around is a handler that tells what it sees around it.
var around = source{"handler.py": `
import os, sys
STARTED = sorted(m for m in sys.modules if "template" not in m)
def handler(event, context):
    return {"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv[1:], "path": sys.path,
            "modules": STARTED, "bytecode": [sys.pycache_prefix, sys.dont_write_bytecode],
            "sid": os.getsid(0), "stdin": os.fstat(0).st_rdev, "fds": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task")), "flags": [sys.flags.no_user_site]}
`}

// Functions cannot tell a fork of a template from a new interpreter.
func TestForkedIsLikeNew(t *testing.T) {
	for _, i := range interpreters(t) {
		t.Run(i.Version, func(t *testing.T) {
			_, ref := template(t, i.Path)
			var seen [2]map[string]any
			for k := range seen {
				spec := specOf(t, map[string]source{"f": around})
				spec.Dir = filepath.Clean(spec.Dir)
				spec.Interpreter = i.Path
				spec.Env = []string{"TZ=Asia/Tokyo", "MINE=yes"}
				spec.WorkDir = filepath.Join(t.TempDir(), "same")
				if k == 1 {
					spec.Template = ref
				}
				z := start(t, spec)
				if z.Forked() != (k == 1) {
					t.Fatalf("forked: %v", z.Forked())
				}
				answer := call(t, spawn(t, z, anyCPU(1)), "f", "{}")
				// The folders of each are its own.
				for _, own := range []string{spec.WorkDir, spec.Dir} {
					answer = strings.ReplaceAll(answer, own, "OWN")
				}
				if err := json.Unmarshal([]byte(answer), &seen[k]); err != nil {
					t.Fatal(err)
				}
				if sid := int(seen[k]["sid"].(float64)); k == 1 && sid != z.Pid() {
					t.Errorf("session %d, want the zygote's own, %d", sid, z.Pid())
				}
				delete(seen[k], "sid")
			}
			for what := range seen[0] {
				anew, _ := json.Marshal(seen[0][what])
				forked, _ := json.Marshal(seen[1][what])
				if string(anew) != string(forked) {
					t.Errorf("%s: new\n%s\nforked\n%s", what, anew, forked)
				}
			}
		})
	}
}

func TestTemplateFaults(t *testing.T) {
	spec := specOf(t, map[string]source{"f": {"handler.py": "import os\ndef handler(event, context):\n    return os.getpid()\n"}})
	tpl, ref := template(t, spec.Interpreter)
	spec.Template = ref
	z := start(t, spec)
	w := spawn(t, z, anyCPU(1))
	call(t, w, "f", "{}")

	// A zygote that is killed ends for its agent, and the next comes as fast.
	if err := syscall.Kill(z.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-z.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("a killed zygote is not done")
	}
	eventually(t, "its worker ends", func() bool { return !alive(w.Pid()) })
	z = start(t, spec)
	if !z.Forked() {
		t.Error("the second was not forked")
	}

	// The template's end is none of a zygote's that serves.
	if err := syscall.Kill(tpl.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-tpl.Done()
	call(t, spawn(t, z, anyCPU(1)), "f", "{}")
	pid := z.Pid()
	z.Close()
	eventually(t, "the zygote ends when it is closed", func() bool { return !alive(pid) })

	// Without a template, a new interpreter is started, and that is told.
	var said logs
	spec.Log = said.add
	if z := start(t, spec); z.Forked() {
		t.Error("forked of a template that is dead")
	}
	if lines := said.of("stderr", ""); len(lines) != 1 || !strings.Contains(lines[0], "new one is started") {
		t.Errorf("said %q", lines)
	}
}

// What an interpreter reads when it starts cannot be given to a fork.
func TestForkable(t *testing.T) {
	for name, forked := range map[string]bool{"MINE": true, "PYTHONHASHSEED": false, "LC_ALL": false, "LANG": false, "LD_PRELOAD": false} {
		spec := specOf(t, map[string]source{"f": {"handler.py": "def handler(event, context):\n    return event\n"}})
		_, spec.Template = template(t, spec.Interpreter)
		spec.Functions[0].Env = map[string]string{name: ""}
		if z := start(t, spec); z.Forked() != forked {
			t.Errorf("with %s forked is %v, want %v", name, z.Forked(), forked)
		}
	}
}

// What does not import is told as ever.
func TestForkedImportFails(t *testing.T) {
	spec := specOf(t, map[string]source{"f": {"handler.py": "raise ValueError('no good')\n"}})
	_, spec.Template = template(t, spec.Interpreter)
	if _, err := host.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "no good") {
		t.Errorf("error %v, want what was raised", err)
	}
}

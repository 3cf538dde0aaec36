package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/deploy"
)

// shared is the shared memory that a wrap's processes have open, each file once.
type shared struct {
	files   int
	bytes   int64 // that have pages
	largest int64 // file, whether it has its pages or not
}

// sharedBy looks at an agent and everything below it.
func sharedBy(t *testing.T, agent int) shared {
	t.Helper()
	var s shared
	seen := make(map[uint64]bool)
	for _, pid := range familyOf(t, agent) {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // none where it ended
		for _, f := range files {
			if to, err := os.Readlink(f); err != nil || !strings.HasPrefix(to, "/memfd:") {
				continue
			}
			info, err := os.Stat(f)
			if err != nil {
				continue // closed since
			}
			if stat := info.Sys().(*syscall.Stat_t); !seen[stat.Ino] {
				seen[stat.Ino] = true
				s.files++
				s.bytes += 512 * stat.Blocks
				s.largest = max(s.largest, stat.Size)
			}
		}
	}
	return s
}

func familyOf(t *testing.T, agent int) []int {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	return family(all, agent)
}

// echo has a function return n characters, and says what came instead.
func echo(t *testing.T, r deploy.Running, n int) (status int, body string) {
	t.Helper()
	text := strings.Repeat("x", n)
	status, body = invoke(t, r, "inc", `{"do": "echo", "text": "`+text+`"}`)
	if body == `"`+text+`"` {
		body = "right"
	}
	return status, body
}

// TestSharedMemoryRefused: where neither the agent nor its functions get shared
// memory, what is large goes over the socket; nothing is left of what was tried.
func TestSharedMemoryRefused(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := limited(t, mode, Options{NoCgroups: true}, 0)
			before := statusOf(t, r)
			agent := before.Wraps[0].PID
			if status, body := echo(t, r, 1<<20); status != 200 || body != "right" {
				t.Fatalf("before: %d %.200s", status, body)
			}
			had := sharedBy(t, agent)
			if had.files == 0 {
				t.Fatal("1 MiB did not go through shared memory")
			}
			limit := func(size uint64) {
				t.Helper()
				for _, pid := range familyOf(t, agent) {
					err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil)
					if err != nil && !errors.Is(err, unix.ESRCH) {
						t.Fatalf("limit the files of process %d: %v", pid, err)
					}
				}
			}
			limit(64 << 10)
			for range 10 {
				if status, body := echo(t, r, 4<<20); status != 200 || body != "right" {
					t.Errorf("without shared memory: %d %.200s", status, body)
				}
			}
			if has := sharedBy(t, agent); has.files > had.files || has.largest > had.largest {
				t.Errorf("without shared memory there is %+v, before there was %+v", has, had)
			}
			limit(unix.RLIM_INFINITY)
			if status, body := echo(t, r, 4<<20); status != 200 || body != "right" {
				t.Errorf("with shared memory again: %d %.200s", status, body)
			}
			unharmed(t, r, before)
		})
	}
}

// TestSharedMemoryOutOfMemory: shared memory is of the wrap's limit, too. Where it
// fills that, one worker is killed, its request fails by the limit's name, and the
// memory is given back.
func TestSharedMemoryOutOfMemory(t *testing.T) {
	const limit, text = 56 << 20, 15 << 20
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := limited(t, mode, Options{}, limit, "memory")
			before := statusOf(t, r)
			agent := before.Wraps[0].PID
			if status, body := echo(t, r, 1<<20); status != 200 || body != "right" {
				t.Fatalf("a small one: %d %.200s", status, body)
			}
			had := sharedBy(t, agent)
			for range 5 {
				// The input, the text and its JSON in the function, and the output.
				status, body := echo(t, r, text)
				if status != 500 || !strings.Contains(body, `"States.TaskFailed"`) || !strings.Contains(body, "the wrap reached its memory limit of 58.7 MB (") {
					t.Errorf("%d %.300s", status, body)
				}
				unharmed(t, r, before)
			}
			// The agent keeps a file for the next body for a while (memfile.KeepFor).
			var has shared
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				if has = sharedBy(t, agent); has.bytes <= had.bytes || time.Now().After(end) {
					break
				}
			}
			if has.bytes > had.bytes {
				t.Errorf("shared memory of %+v is left, before there was %+v", has, had)
			}
			if status, body := echo(t, r, 1<<20); status != 200 || body != "right" {
				t.Errorf("a small one afterwards: %d %.200s", status, body)
			}
			unharmed(t, r, before)
		})
	}
}

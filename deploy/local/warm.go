package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/plan"
)

// warm keeps one interpreter ready, of which the hosts of all wraps that need its
// version are forked. It is a help, and no condition: without it they start anew.
type warm struct {
	keeper *keeper
	label  string // of its files: "python" and a number; no wrap's name has none of "-" and "."
	// lang and runtime are what bundles ask for, interpreter is what that is here.
	lang, runtime, interpreter string
	spec                       host.TemplateSpec
	stop                       chan struct{}
	stopped                    sync.WaitGroup

	mu  sync.Mutex
	now *host.Template // guarded by mu
}

// warmPause is waited before an interpreter that died is replaced.
const warmPause = time.Second

// startWarm starts an interpreter for each runtime that the bundles ask for. What
// cannot be had is left to the agents, which say what is wrong.
func (k *keeper) startWarm(ctx context.Context) {
	for _, b := range k.bundles {
		m, err := plan.ReadManifest(filepath.Join(b.Dir, plan.ManifestFile))
		if err != nil || k.warmOf(m.Lang, m.Runtime) != nil {
			continue
		}
		found, err := host.FindInterpreter(ctx, m.Lang, m.Runtime)
		if err != nil {
			continue
		}
		label := "warm_" + strconv.Itoa(len(k.warm)+1)
		w := &warm{keeper: k, label: label, lang: m.Lang, runtime: m.Runtime, interpreter: found.Path, stop: make(chan struct{})}
		w.spec = host.TemplateSpec{
			Interpreter: found.Path, Program: filepath.Join(b.Dir, "host", m.Lang),
			Socket: filepath.Join(k.dir, label+".sock"), WorkDir: filepath.Join(workDir(k.dir, label), "home"),
			Log: func(line string) {
				k.target.options.Log.Warn("the warm interpreter", "deployment", k.name, "said", line)
			},
		}
		if err := w.start(); err != nil {
			k.target.options.Log.Warn("no warm interpreter: instances start more slowly", "deployment", k.name, "error", err.Error())
			continue
		}
		k.warm = append(k.warm, w)
		w.stopped.Go(w.keep)
	}
}

func (k *keeper) warmOf(lang, runtime string) *warm {
	for _, w := range k.warm {
		if w.lang == lang && w.runtime == runtime {
			return w
		}
	}
	return nil
}

// warmFlags are those by which an agent forks its host of a warm interpreter.
func (k *keeper) warmFlags(w *wrap) []string {
	if len(k.warm) == 0 {
		return nil
	}
	m, err := plan.ReadManifest(filepath.Join(w.bundle.Dir, plan.ManifestFile))
	if err != nil {
		return nil // the agent says so
	}
	warm := k.warmOf(m.Lang, m.Runtime)
	if warm == nil {
		return nil
	}
	flags := []string{"--interpreter", warm.interpreter, "--template", warm.spec.Socket}
	for _, file := range w.group.procs() {
		flags = append(flags, "--join", file)
	}
	return flags
}

func (w *warm) start() error {
	if err := os.Remove(w.spec.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("warm interpreter: %w", err)
	}
	t, err := host.StartTemplate(w.spec)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.now = t
	w.mu.Unlock()
	return nil
}

// keep replaces an interpreter that dies.
func (w *warm) keep() {
	for {
		w.mu.Lock()
		t := w.now
		w.mu.Unlock()
		select {
		case <-w.stop:
			return
		case <-t.Done():
		}
		log := w.keeper.target.options.Log
		log.Warn("the warm interpreter died and is started again", "deployment", w.keeper.name, "interpreter", w.interpreter)
		select {
		case <-w.stop:
			return
		case <-time.After(warmPause):
		}
		_ = t.Close() // it has ended; its pipe and its socket are left
		if err := w.start(); err != nil {
			log.Error("no warm interpreter any more: instances start more slowly", "deployment", w.keeper.name, "error", err.Error())
			return
		}
		if err := w.keeper.save(); err != nil {
			log.Error("could not write the deployment's state", "deployment", w.keeper.name, "error", err.Error())
		}
	}
}

func (w *warm) identity() identity {
	w.mu.Lock()
	defer w.mu.Unlock()
	id, err := identify(w.now.Pid())
	if err != nil {
		return identity{} // it has just ended
	}
	return id
}

// close ends it, and what was forked of it and is left.
func (w *warm) close() error {
	close(w.stop)
	w.stopped.Wait()
	id := w.identity()
	err := w.now.Close()
	return errors.Join(err, clearTree(group{}, id, workDir(w.keeper.dir, w.label)))
}

// forks lists the warm interpreters' children whose current folder lies below a
// wrap's working folder: its hosts.
func (k *keeper) forks(all []procfs.Stat, work string) []int {
	var pids []int
	for _, w := range k.warm {
		pid := w.identity().PID
		for _, s := range all {
			if s.Parent != pid || pid == 0 {
				continue
			}
			dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(s.PID), "cwd"))
			if err == nil && strings.HasPrefix(dir, work+"/") {
				pids = append(pids, s.PID)
			}
		}
	}
	return pids
}

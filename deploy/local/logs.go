package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
)

// Logs implements deploy.Target.
func (t *Target) Logs(ctx context.Context, name string, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	if err := deploy.CheckName(name); err != nil {
		return err
	}
	dir := t.dir(name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return notFound(name)
	}
	return logs.Read(ctx, filepath.Join(dir, "logs"), o, func() bool { return !t.held(name) }, emit)
}

// agentOutput takes an agent's standard error: a JSON object a line, or what the
// Go runtime has to say when it ends in an unforeseen way.
type agentOutput struct {
	logs.Lines

	mu   sync.Mutex
	last string // message of the last error; guarded by mu
}

func newAgentOutput(log *logs.File, wrap string) *agentOutput {
	o := &agentOutput{}
	o.Take = func(data []byte) {
		line := logs.Parse(data, wrap)
		if line.Level == "ERROR" && line.Function == "" {
			o.mu.Lock()
			o.last = line.Text
			o.mu.Unlock()
		}
		log.Add(line)
	}
	return o
}

// lastError is the message of the last error that the agent logged.
func (o *agentOutput) lastError() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

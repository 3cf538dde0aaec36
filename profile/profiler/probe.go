package profiler

import (
	"context"
	"fmt"
	"strconv"

	"github.com/chiron-faas/chiron/host"
)

// probe starts the host's probe in a worker, as profile.Target has it.
func (m *subject) probe(w *host.Worker) func(context.Context, string) (int, error) {
	name := host.Probe(m.session.program()).Name
	return func(ctx context.Context, file string) (int, error) {
		reply, err := w.Call(ctx, host.Call{Function: name, Body: []byte(file)})
		if err != nil {
			return 0, fmt.Errorf("start the probe of the interpreter lock: %w", err)
		}
		tid, err := strconv.Atoi(string(reply.Body))
		if err != nil {
			return 0, fmt.Errorf("the probe of the interpreter lock says %q, which is no thread's number", reply.Body)
		}
		return tid, nil
	}
}

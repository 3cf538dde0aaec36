package runtime

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/deploy"
)

// Rest is what a wrap's agent costs while nobody calls it.
type Rest struct {
	// Watched is for how long, seconds.
	Watched float64 `json:"watched_s"`
	// AgentMB is the agent's resident memory after some requests, AgentOwnMB what
	// of it is its own (PSS: its share of what it has in common with other agents).
	AgentMB    float64 `json:"agent_rss_mb"`
	AgentOwnMB float64 `json:"agent_pss_mb"`
	// Percent of a core that the agent took, and with all processes of its wrap.
	Percent     float64 `json:"agent_cpu_percent"`
	WrapPercent float64 `json:"wrap_cpu_percent"`
}

// The targets of an agent at rest.
const (
	restTargetMB      = 25
	restTargetPercent = 0.1
	// restRequests are made before: an agent that has served has grown.
	restRequests = 200
)

// watch looks at the first wrap of a deployment for a while.
func watch(ctx context.Context, r deploy.Scalable, length time.Duration) (*Rest, error) {
	client := serving.Client(r.Workflow())
	defer client.CloseIdleConnections()
	for range restRequests {
		if _, _, err := serving.Post(ctx, client, "/", []byte(`{"n":1}`), false); err != nil {
			return nil, err
		}
	}
	client.CloseIdleConnections()
	status, err := r.Status(ctx)
	if err != nil {
		return nil, err
	}
	agent := status.Wraps[0].PID
	pids := tree(agent)
	settle := time.Second // what the requests left to be done
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	before, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := sleep(ctx, length); err != nil {
		return nil, err
	}
	after, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	took := time.Since(begun)
	rest := &Rest{Watched: took.Seconds(), Percent: 100 * float64(after[0]-before[0]) / float64(took)}
	for i := range pids {
		rest.WrapPercent += 100 * float64(after[i]-before[i]) / float64(took)
	}
	rest.AgentMB, err = residentMB(agent)
	rest.AgentOwnMB = shareMB(agent)
	return rest, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Rest) text(b *bytes.Buffer) {
	verdict := func(met bool) string {
		if met {
			return "met"
		}
		return "missed"
	}
	fmt.Fprintf(b, "\nan agent that nobody calls, watched for %.0f s after %d requests\n", r.Watched, restRequests)
	fmt.Fprintf(b, "memory: %.1f MB resident, %.1f MB its share (≤ %d MB: %s)\n", r.AgentMB, r.AgentOwnMB, restTargetMB, verdict(r.AgentMB <= restTargetMB))
	fmt.Fprintf(b, "CPU: %.4f %% of a core (≤ %.1f %%: %s); its whole wrap: %.4f %%\n", r.Percent, restTargetPercent, verdict(r.Percent <= restTargetPercent), r.WrapPercent)
}

package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/atomicfile"
)

// state is the file state.json of a deployment's folder: what another process
// needs to show it, and to clear it away when its keeper was killed.
type state struct {
	// Boot is the kernel's boot_id: processes of an earlier boot are gone.
	Boot   string        `json:"boot_id"`
	Status deploy.Status `json:"status"`
	Agents []agentState  `json:"agents"`
}

type agentState struct {
	Wrap  string   `json:"wrap"`
	Agent identity `json:"agent"`
}

func readState(dir string) (*state, error) {
	data, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return nil, fmt.Errorf("read the deployment's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("the deployment's state %s: %w: take it down", dir, err)
	}
	return &s, nil
}

func (s *state) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the deployment's state: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, "state.json"), append(data, '\n'))
}

// dead is the status of a deployment whose keeper was killed.
func (s *state) dead() deploy.Status {
	status := s.Status
	status.State = deploy.Dead
	status.Keeper = 0
	for i := range status.Wraps {
		w := &status.Wraps[i]
		w.State, w.PID, w.Processes, w.Memory = deploy.WrapStopped, 0, 0, 0
	}
	return status
}

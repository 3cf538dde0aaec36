package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// definitionJSON is the definition as the agent reads it.
func definitionJSON(d *workflow.Definition) ([]byte, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write the definition: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("write the definition: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// planJSON is the plan as the agent reads it: what it was made for is no matter
// of running it, and would make a new bundle of what places all tasks as before.
func planJSON(p *plan.Plan) ([]byte, error) {
	var out bytes.Buffer
	if err := p.Placement().Encode(&out); err != nil {
		return nil, fmt.Errorf("write the plan: %w", err)
	}
	return out.Bytes(), nil
}

func manifestJSON(m *plan.Manifest) ([]byte, error) {
	var out bytes.Buffer
	if err := m.Encode(&out); err != nil {
		return nil, fmt.Errorf("write wrap.json: %w", err)
	}
	return out.Bytes(), nil
}

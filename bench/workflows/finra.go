package workflows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/examples"
	"github.com/chiron-faas/chiron/workflow"
)

// finra is the beginning of the names of FINRA's sizes.
const finra = "finra-"

// rules of FINRA, and the names of their states.
func rules() [][2]string {
	return [][2]string{
		{"marketdata", "MarketData"},
		{"lastprice", "LastPrice"},
		{"side", "Side"},
		{"tradedate", "TradeDate"},
		{"volume", "Volume"},
	}
}

// finraSize is the number of validations in parallel that a name asks for.
func finraSize(name string) (int, bool) {
	text, ok := strings.CutPrefix(name, finra)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0 && n%len(rules()) == 0
}

// writeFINRA writes FINRA with n validations in parallel: those of the example
// FINRA-5, each n/5 times.
func writeFINRA(n int, dir string) error {
	balance, err := fs.ReadFile(projects, "projects/finra/marginbalance.py")
	if err != nil {
		return err
	}
	example := examples.FINRA5()
	file, err := fs.ReadFile(example, workflow.ProjectFile)
	if err != nil {
		return err
	}
	definition, err := finraDefinition(n)
	if err != nil {
		return err
	}
	if err := copyAll(example, dir, map[string][]byte{
		workflow.ProjectFile:         bytes.Replace(file, []byte("name: finra-5\n"), fmt.Appendf(nil, "name: %s%d\n", finra, n), 1),
		"workflow.asl.json":          definition,
		"functions/marginbalance.py": balance,
	}); err != nil {
		return err
	}
	// They tell of the example.
	for _, name := range []string{"README.md", "make_data.py"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// The parts of a definition that FINRA has.
type (
	task struct {
		Type       string            `json:"Type"`
		Resource   string            `json:"Resource"`
		Parameters map[string]string `json:"Parameters,omitempty"`
		End        bool              `json:"End"`
	}
	branch struct {
		StartAt string          `json:"StartAt"`
		States  map[string]task `json:"States"`
	}
	parallel struct {
		Type       string   `json:"Type"`
		ResultPath string   `json:"ResultPath"`
		Next       string   `json:"Next"`
		Branches   []branch `json:"Branches"`
	}
)

func finraDefinition(n int) ([]byte, error) {
	validate := parallel{Type: "Parallel", ResultPath: "$.rules", Next: "MarginBalance"}
	for i := range n {
		rule := rules()[i%len(rules())]
		name := fmt.Sprintf("%s%d", rule[1], i/len(rules())+1)
		validate.Branches = append(validate.Branches, branch{
			StartAt: name,
			States:  map[string]task{name: {Type: "Task", Resource: rule[0], End: true}},
		})
	}
	data, err := json.MarshalIndent(map[string]any{
		"Comment": fmt.Sprintf("Validates a portfolio's trades %d times at once, then its margin balance (after FINRA rule 4210)", n),
		"StartAt": "Validate",
		"States": map[string]any{
			"Validate": validate,
			"MarginBalance": task{
				Type: "Task", Resource: "marginbalance", End: true,
				Parameters: map[string]string{"cash.$": "$.cash", "rules.$": "$.rules"},
			},
		},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

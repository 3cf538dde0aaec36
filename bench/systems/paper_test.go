package systems

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/serving"
)

// TestPaper: the paper's workflows are written, and nothing is measured where a
// store of theirs is down.
func TestPaper(t *testing.T) {
	free, err := services.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	if all := PaperNames(false); len(all) != 8 || !slices.Contains(all, "finra-200") || len(PaperNames(true)) != 5 {
		t.Errorf("the workflows are %v, quickly %v", all, PaperNames(true))
	}
	subjects, err := Paper([]string{"sn", "finra-50"}, t.TempDir(), free)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(subjects[1].Project.Definition.Tasks()); n != 51 || subjects[1].Ready != nil {
		t.Errorf("finra-50 has %d functions, or needs stores", n)
	}
	if err := subjects[0].Check([]byte(`{}`)); err == nil {
		t.Error("an empty answer is taken for right")
	}
	_, err = Run(t.Context(), Options{Subjects: subjects, Programs: serving.Programs{Chiron: os.Args[0], Agent: os.Args[0]}})
	if err == nil || !strings.Contains(err.Error(), `workflow "sn"`) || !strings.Contains(err.Error(), "make services") && !strings.Contains(err.Error(), "apt-get") {
		t.Errorf("with stores that are down: %v", err)
	}
	if _, err := Paper([]string{"sm"}, t.TempDir(), free); !errors.Is(err, ErrUse) || !strings.Contains(err.Error(), "finra-200") {
		t.Errorf("a workflow that there is not: %v", err)
	}
}

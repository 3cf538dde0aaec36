package chiron_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSequential: what the Makefile tests without the race detector starts no
// goroutine, and has no test that does.
func TestSequential(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^SEQUENTIAL := (.+)$`).FindSubmatch(makefile)
	if line == nil {
		t.Fatal("the Makefile has no list SEQUENTIAL of packages")
	}
	for dir := range strings.FieldsSeq(string(line[1])) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("folder %s has no Go files, %v", dir, err)
		}
		for _, name := range files {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if what := starts(n); what != "" {
					t.Errorf("%s: %s: take %s from the Makefile's SEQUENTIAL, so that it is tested with the race detector", fset.Position(n.Pos()), what, dir)
				}
				return true
			})
		}
	}
}

// starts says how a piece of code starts a goroutine; empty: it does not.
func starts(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.SelectorExpr:
		switch n.Sel.Name {
		case "Go", "Parallel", "AfterFunc", "NewServer":
			return n.Sel.Name + " starts a goroutine"
		}
	}
	return ""
}

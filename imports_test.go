package chiron_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/chiron-faas/chiron/"

// allowed is the import table of ARCHITECTURE.md: what each folder may import
// besides the standard library, third parties and internal/. A folder that is
// not named takes the row of its nearest parent. "*" is everything but cmd.
var allowed = map[string][]string{
	"workflow":                     {},
	"host":                         {"host"},
	"profile":                      {"workflow", "profile"},
	"profile/ebpf":                 {"profile", "profile/syscalls", "profile/touched"},
	"profile/perf":                 {"profile", "profile/syscalls", "profile/touched"},
	"profile/strace":               {"profile", "profile/touched"},
	"profile/portable":             {"profile", "profile/syscalls", "profile/touched"},
	"profile/servers":              {},
	"profile/profiler":             {"workflow", "profile", "profile/ebpf", "profile/perf", "profile/strace", "profile/portable", "profile/servers", "host"},
	"plan":                         {"workflow", "profile"},
	"plan/model":                   {"workflow", "profile", "plan"},
	"predict":                      {"workflow", "profile", "plan", "predict"},
	"plan/pgp":                     {"workflow", "profile", "plan", "plan/model", "predict"},
	"plan/pgp/plot":                {"plan/pgp"},
	"simulate":                     {"workflow", "profile", "plan", "predict"},
	"wrap":                         {"workflow", "plan", "host"},
	"bundle":                       {"workflow", "plan", "host"},
	"bundle/oci":                   {"workflow", "plan", "host", "bundle"},
	"deploy":                       {"plan", "host", "bundle", "deploy"},
	"deploy/kubernetes/controller": {"workflow", "profile", "plan", "plan/pgp", "predict", "deploy"},
	"gateway":                      {"workflow", "plan", "deploy", "gateway"},
	"gateway/provider":             {"plan", "bundle", "deploy", "gateway"},
	"gateway/container":            {"deploy", "bundle/oci"},
	"calibrate":                    {"workflow", "profile", "plan", "host", "predict", "bundle", "deploy"},
	"examples":                     {},
	"internal":                     {},
	"pipeline":                     {"*"},
	"bench":                        {"*"},
	"cmd/chiron":                   {"*"},
	"cmd/chiron-agent":             {"wrap", "host"},
	"cmd/chiron-controller":        {"deploy"},
	"test":                         {"*"},
}

// exact are the folders whose permission does not extend to their subfolders:
// plan may be imported where plan/pgp may not.
var exact = map[string]bool{"plan": true, "profile": true, "deploy": false}

func TestImports(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || path.Dir(filepath.ToSlash(name)) == "." {
			return nil
		}
		dir := path.Dir(filepath.ToSlash(name))
		checked++
		row, ok := rowOf(dir)
		if !ok {
			t.Errorf("%s: folder %s is not in the import table of ARCHITECTURE.md: add it there and in imports_test.go", name, dir)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			target, ours := strings.CutPrefix(imported, module)
			if !ours || under(target, "internal") {
				continue
			}
			if !permits(row, target) {
				t.Errorf("%s imports %s: %s may import only %v", name, target, dir, row)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Fatal("no file was read: the test looks in the wrong place")
	}
}

// TestAgentLinks: there is an agent in every wrap, which starts fast and stays
// small because it links little. What is added here is paid for in each.
func TestAgentLinks(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/chiron-agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	want := []string{strings.TrimSuffix(module, "/"), "github.com/spf13/pflag", "go.yaml.in/yaml/v3", "golang.org/x/sys"}
	if got := slices.Compact(modules); !slices.Equal(got, want) {
		t.Errorf("chiron-agent links packages of %v, want %v", got, want)
	}
}

// TestControllerApart: who installs chiron does not link a controller's libraries.
func TestControllerApart(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/chiron").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "sigs.k8s.io/controller-runtime") {
		t.Error("chiron links sigs.k8s.io/controller-runtime: that is for cmd/chiron-controller")
	}
}

func rowOf(dir string) ([]string, bool) {
	for d := dir; d != "."; d = path.Dir(d) {
		if row, ok := allowed[d]; ok {
			return row, true
		}
	}
	return nil, false
}

func permits(row []string, target string) bool {
	for _, r := range row {
		switch {
		case r == "*":
			if !under(target, "cmd") {
				return true
			}
		case target == r, !exact[r] && under(target, r):
			return true
		}
	}
	return false
}

func under(target, folder string) bool {
	return target == folder || strings.HasPrefix(target, folder+"/")
}

package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSites: functions with the same file of requirements share a folder, whatever the
// project's rules and limits say of wraps; what one run leaves in it the next has
// not.
func TestSites(t *testing.T) {
	if len(pythons(t)) == 0 {
		t.Skip("no CPython with pip on this machine")
	}
	wheels(t)
	rules := map[string]string{"limits: {wraps: 1}\ntogether: [[Greet, Shout]]\n": "apple==1.0\n", "apart: [[greet, shout]]\n": "pear-tree\n"}
	for rule, shout := range rules {
		files := withRequirements("apple==1.0\n", shout)
		files["chiron.yaml"] += rule
		if shout == "apple==1.0\n" {
			files["chiron.yaml"] = strings.ReplaceAll(files["chiron.yaml"], "requirements: shout.txt", "requirements: greet/requirements.txt")
		}
		p := project(t, twoTasks, files)
		o := Options{Project: p, OutDir: filepath.Join(t.TempDir(), "sites"), CacheDir: t.TempDir()}
		for range 2 {
			sites, err := Sites(t.Context(), o)
			if err != nil {
				t.Fatalf("%s: %v", rule, err)
			}
			module := map[string]string{"apple==1.0\n": "apple", "pear-tree\n": "pear_tree"}
			for f, asked := range map[string]string{"greet": "apple==1.0\n", "shout": shout} {
				if _, err := os.Stat(filepath.Join(sites[f], module[asked], "__init__.py")); err != nil {
					t.Errorf("%s: %v", rule, err)
				}
			}
			if same := sites["greet"] == sites["shout"]; same != (shout == "apple==1.0\n") {
				t.Errorf("%s: %v", rule, sites)
			}
			left := filepath.Join(sites["greet"], "left")
			if _, err := os.Stat(left); err == nil {
				t.Errorf("%s: what a run left is there in the next", rule)
			}
			if err := os.WriteFile(left, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	none, err := Sites(t.Context(), Options{Project: project(t, twoTasks, nil), OutDir: filepath.Join(t.TempDir(), "sites")})
	if diff := cmp.Diff(map[string]string{}, none); diff != "" || err != nil {
		t.Errorf("functions that require nothing: %v %s", err, diff)
	}
	p := project(t, twoTasks, withRequirements("apple==1.0\n", "quince\n"))
	if _, err := Sites(t.Context(), Options{Project: p, OutDir: t.TempDir(), CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), `function "shout"`) {
		t.Errorf("a package that nobody has: %v", err)
	}
}

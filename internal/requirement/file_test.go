package requirement

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"plain.txt":       "# head\napple==1  # why\n\n  pear_tree \\\n  >=2\r\nurl@https://x/y#egg=z\n",
		"nested.txt":      "-r sub/more.txt\n--constraint=sub/c.txt\nfig\n",
		"sub/more.txt":    "-c c.txt\nplum\n",
		"sub/c.txt":       "plum<3\n",
		"loop.txt":        "-r loop.txt\n",
		"local.txt":       "./wheels/x.whl\n",
		"links.txt":       "--find-links wheels\napple\n",
		"remote.txt":      "-f https://example.org/wheels\napple\n",
		"editable.txt":    "-e ../here\n",
		"file.txt":        "apple @ file:///tmp/apple.whl\n",
		"empty.txt":       "\n# nothing\n",
		"missing-one.txt": "-r no.txt\n",
	})
	tests := []struct {
		file  string
		lines []string
		local bool
		err   string
	}{
		{file: "plain.txt", lines: []string{"apple==1", "pear_tree >=2", "url@https://x/y#egg=z"}},
		{file: "nested.txt", lines: []string{"-r sub/more.txt", "-c c.txt", "plum<3", "plum", "--constraint=sub/c.txt", "plum<3", "fig"}},
		{file: "loop.txt", err: "include itself"},
		{file: "missing-one.txt", err: "no.txt"},
		{file: "local.txt", lines: []string{"./wheels/x.whl"}, local: true},
		{file: "links.txt", lines: []string{"--find-links wheels", "apple"}, local: true},
		{file: "remote.txt", lines: []string{"-f https://example.org/wheels", "apple"}},
		{file: "editable.txt", lines: []string{"-e ../here"}, local: true},
		{file: "file.txt", lines: []string{"apple @ file:///tmp/apple.whl"}, local: true},
		{file: "empty.txt"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			r, err := Read(filepath.Join(dir, tt.file))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.lines, r.Texts(), cmpopts.EquateEmpty()); diff != "" || r.Local != tt.local {
				t.Errorf("local %v, lines %s", r.Local, diff)
			}
		})
	}
}

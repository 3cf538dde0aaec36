package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(dir string) error
		want   string // in the error; empty: none
	}{
		{"as built", func(string) error { return nil }, ""},
		{"file changed", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "functions/shout/shout.py"), []byte("evil"), 0o644)
		}, "functions/shout/shout.py was changed"},
		{"plan changed", func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "plan.json"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(" ")
			return errors.Join(err, f.Close())
		}, "plan.json was changed"},
		{"file missing", func(dir string) error {
			return os.Remove(filepath.Join(dir, "functions/greet/words.py"))
		}, "functions/greet/words.py is missing"},
		{"file added", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "functions/greet/os.py"), nil, 0o644)
		}, "functions/greet/os.py is not in its checksums"},
		{"link added", func(dir string) error {
			return os.Symlink("/etc", filepath.Join(dir, "functions/greet/etc"))
		}, "is no file"},
		{"no checksums", func(dir string) error {
			return os.Remove(filepath.Join(dir, "checksums"))
		}, "checksums"},
		{"checksums that lead outside", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "checksums"), []byte(strings.Repeat("0", 64)+"  ../x\n"), 0o644)
		}, "lies outside"},
		{"no manifest", func(dir string) error {
			return os.Remove(filepath.Join(dir, "wrap.json"))
		}, "is no bundle"},
		{"manifest is not JSON", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "wrap.json"), []byte("{"), 0o644)
		}, "wrap.json"},
	}
	p := project(t, twoTasks)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, Options{Project: p, Plan: together(p), OutDir: t.TempDir()})[0]
			if err := tt.change(b.Dir); err != nil {
				t.Fatal(err)
			}
			got, err := Verify(b.Dir)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && got.Digest != b.Digest:
				t.Errorf("digest %s, want %s", got.Digest, b.Digest)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseChecksums(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	for _, seed := range []string{
		"", sum + "  a\n", sum + "  a/b c\n" + sum + "  d\n", sum + " a\n", sum + "  ../a\n", sum + "  /a\n",
		"\\" + sum + "  a\n", strings.ToUpper(sum) + "  a\n", sum + "  a\n" + sum + "  a\n", sum + "  \n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sums, err := parseChecksums(data)
		if err != nil {
			return
		}
		for name, sum := range sums {
			if !filepath.IsLocal(name) || len(sum) != 64 || strings.ContainsAny(name, "\n\x00\\") {
				t.Errorf("took %q  %q", sum, name)
			}
		}
	})
}

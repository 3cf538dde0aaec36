package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/requirement"
	"github.com/chiron-faas/chiron/workflow"
)

// RequirementsError says that pip could not install what functions ask for.
type RequirementsError struct {
	// Functions whose requirements are at fault, sorted.
	Functions []string
	// Requirements that pip complains of, as written; empty where it names none.
	Requirements []string
	// Message is pip's own last word.
	Message string
	// Clash: the functions' requirements exclude each other, though each may
	// be installed alone.
	Clash bool
	// Wheel, where it is set, is the requirement of which there is no wheel for
	// Target: the functions' own, or one that theirs has.
	Wheel string
	// Target that was installed for, for people; empty: this machine's.
	Target string
}

func (e *RequirementsError) Error() string {
	who := "functions " + quoted(e.Functions)
	if len(e.Functions) == 1 {
		who = "function " + quoted(e.Functions)
	}
	what := "the requirements"
	if len(e.Requirements) > 0 {
		what = quoted(e.Requirements)
	}
	if e.Clash {
		return fmt.Sprintf("%s ask for packages that clash (%s) and cannot share a wrap: pip: %s: write apart: [[%s]] in the project and plan again",
			who, what, e.Message, strings.Join(e.Functions, ", "))
	}
	if e.Wheel != "" {
		return fmt.Sprintf("%s: there is no wheel of %q for %s: ask for a version that has one, or choose another base or platform: pip: %s",
			who, e.Wheel, e.Target, e.Message)
	}
	if e.Target != "" {
		what += " for " + e.Target
	}
	return fmt.Sprintf("%s: pip cannot install %s: %s", who, what, e.Message)
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, ", ")
}

// requirements installs what the functions ask for, all together, and returns
// the folder that holds it; empty where they ask for nothing.
func (b *builder) requirements(ctx context.Context, python interpreter, functions []*workflow.Function) (string, error) {
	var files []*requirementsFile
	key := sha256.New()
	fmt.Fprintf(key, "chiron requirements 3\n%s\n%s\n", python.id, python.compiler)
	cacheable := true
	for _, f := range functions {
		if f.Requirements == "" {
			continue
		}
		file, err := readRequirements(f)
		if err != nil {
			return "", err
		}
		if len(file.Lines) == 0 {
			continue
		}
		files = append(files, file)
		cacheable = cacheable && !file.Local
	}
	if len(files) == 0 {
		return "", nil
	}
	// The order of functions and who asks for what do not matter to pip.
	var texts []string
	for _, f := range files {
		texts = append(texts, strings.Join(f.Texts(), "\n"))
	}
	slices.Sort(texts)
	for _, t := range slices.Compact(texts) {
		fmt.Fprintf(key, "%d\n%s\n", len(t), t)
	}
	cached := filepath.Join(b.CacheDir, "requirements", hex.EncodeToString(key.Sum(nil)))
	if !cacheable {
		if err := removeAll(cached); err != nil {
			return "", fmt.Errorf("requirements: %w", err)
		}
	}
	err := keep(cached, func(site, work string) error {
		if err := pip(ctx, python, files, site, work); err != nil {
			return err
		}
		if err := normalise(site); err != nil {
			return fmt.Errorf("requirements: %w", err)
		}
		if python.target != nil {
			if err := python.target.fits(site); err != nil {
				return fmt.Errorf("requirements: %w", err)
			}
		}
		if python.compiler == "" {
			return nil
		}
		if err := host.Compile(ctx, python.path, site, "site"); err != nil {
			return fmt.Errorf("requirements: %w", err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return cached, nil
}

// requirementsFile is one function's requirements.
type requirementsFile struct {
	function string
	*requirement.File
}

func readRequirements(f *workflow.Function) (*requirementsFile, error) {
	file, err := requirement.Read(f.Requirements)
	if err != nil {
		return nil, fmt.Errorf("function %q: requirements: %w", f.Name, err)
	}
	return &requirementsFile{function: f.Name, File: file}, nil
}

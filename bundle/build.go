package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Build and Sites. Project and OutDir are needed, and Plan by Build.
type Options struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// OutDir gets one folder per wrap, named as the wrap. A folder of an
	// earlier build is replaced in one step, and left alone where the new one
	// would be the same.
	OutDir string
	// CacheDir keeps installed requirements and compiled host programs between
	// builds; empty: CacheFolder's.
	CacheDir string
	// Interpreter resolves a function's declared runtime to an executable's
	// absolute path; nil: host.FindInterpreter.
	Interpreter func(ctx context.Context, lang, runtime string) (string, error)
	// Target, when set, says what interpreter a wrap is built for where that is
	// none of this machine's: an image's. nil, or a nil answer: this machine's.
	Target func(wrap string) *Target
	// Limits of what is copied; zero fields mean DefaultLimits'.
	Limits Limits
	// Progress, when set, is told each step as it begins. It is called from
	// Build's goroutine.
	Progress func(Step)
}

// Step is one step of Build.
type Step struct {
	// Wrap that is being built, Build's; Index counts from 1 to Of.
	Wrap      string
	Index, Of int
	// What is being done: "check handlers", "install requirements", "write", and of
	// Sites "install requirements of FUNCTION".
	What string
}

// Limits bound what one function's folder or one wrap's requirements may hold:
// a handler folder that is a home folder by mistake fails early.
type Limits struct {
	Files int
	Bytes int64
}

// DefaultLimits are generous: the largest common packages (numpy with scipy and
// pandas) take 300 MiB in 15,000 files, and a third more with their bytecode.
var DefaultLimits = Limits{Files: 100_000, Bytes: 2 << 30}

// Bundle is one wrap's folder, complete and checked.
type Bundle struct {
	// Wrap is the plan's name of the wrap.
	Wrap string
	// Dir is the folder, absolute.
	Dir string
	// Digest of the file checksums, and so of every byte: "sha256:" and hex.
	Digest string
	// PlanID is the digest of plan.json, the same in all bundles of a plan.
	PlanID string
	// Functions that the wrap holds, sorted.
	Functions []string
}

// Build makes one bundle for every wrap of the plan, in the plan's order. Where
// it fails, the folders of earlier builds are as they were.
//
// Errors: *SyntaxError, *RequirementsError, or one line that names the wrap and
// the function.
func Build(ctx context.Context, o Options) ([]Bundle, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	if err := b.plans(); err != nil {
		return nil, err
	}
	// Everything is staged before the first folder is replaced.
	staging, err := os.MkdirTemp(b.OutDir, ".building-")
	if err != nil {
		return nil, fmt.Errorf("build bundles: %w", err)
	}
	defer func() { _ = removeAll(staging) }()
	var bundles []Bundle
	for i := range o.Plan.Wraps {
		dir := filepath.Join(staging, o.Plan.Wraps[i].Name)
		if err := b.wrap(ctx, i, dir); err != nil {
			return nil, fmt.Errorf("bundle wrap %q: %w", o.Plan.Wraps[i].Name, err)
		}
		made, err := Open(dir)
		if err != nil {
			return nil, fmt.Errorf("bundle wrap %q: %w", o.Plan.Wraps[i].Name, err)
		}
		bundles = append(bundles, made)
	}
	for i := range bundles {
		final := filepath.Join(b.OutDir, bundles[i].Wrap)
		if err := install(bundles[i], final, staging); err != nil {
			return nil, fmt.Errorf("bundle wrap %q: %w", bundles[i].Wrap, err)
		}
		bundles[i].Dir = final
	}
	return bundles, nil
}

// builder is what all wraps of one Build share.
type builder struct {
	Options
	// definition and plan are the files, the same in all bundles.
	definition, plan []byte
	interpreters     map[string]interpreter // by declared runtime
}

func newBuilder(o Options) (*builder, error) {
	if o.Project == nil || o.Project.Definition == nil || o.OutDir == "" {
		return nil, errors.New("bundles: Options.Project and OutDir are needed")
	}
	b := &builder{Options: o, interpreters: make(map[string]interpreter)}
	var err error
	if b.OutDir, err = filepath.Abs(o.OutDir); err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	if b.CacheDir, err = CacheFolder(o.CacheDir); err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	if b.Interpreter == nil {
		b.Interpreter = findInterpreter
	}
	if b.Limits.Files <= 0 {
		b.Limits.Files = DefaultLimits.Files
	}
	if b.Limits.Bytes <= 0 {
		b.Limits.Bytes = DefaultLimits.Bytes
	}
	return b, nil
}

// plans makes what Build needs and Sites does not.
func (b *builder) plans() error {
	if b.Plan == nil {
		return errors.New("build bundles: Options.Plan is needed")
	}
	if err := plan.Check(b.Plan, b.Project.Definition, b.Project.Functions, &b.Project.Rules); err != nil {
		return fmt.Errorf("build bundles: %w", err)
	}
	var err error
	if b.definition, err = definitionJSON(b.Project.Definition); err != nil {
		return err
	}
	if b.plan, err = planJSON(b.Plan); err != nil {
		return err
	}
	if err := os.MkdirAll(b.OutDir, 0o755); err != nil {
		return fmt.Errorf("build bundles: %w", err)
	}
	return nil
}

// wrap writes the bundle of plan.Wraps[index] into dir.
func (b *builder) wrap(ctx context.Context, index int, dir string) error {
	w := &b.Plan.Wraps[index]
	step := func(what string) {
		if b.Progress != nil {
			b.Progress(Step{Wrap: w.Name, Index: index + 1, Of: len(b.Plan.Wraps), What: what})
		}
	}
	functions, err := b.functions(w)
	if err != nil {
		return err
	}
	python, err := b.interpreterFor(ctx, w.Name, functions[0])
	if err != nil {
		return err
	}
	if python.compiler != "" {
		step("check handlers")
		if err := checkSyntax(ctx, python, functions); err != nil {
			return err
		}
	}
	step("install requirements")
	site, err := b.requirements(ctx, python, functions)
	if err != nil {
		return err
	}
	step("write")
	if err := b.write(ctx, dir, w, functions, python, site); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return seal(dir)
}

// functions of a wrap's tasks, sorted by name. plan.Check has seen to it that
// they share language and runtime.
func (b *builder) functions(w *plan.Wrap) ([]*workflow.Function, error) {
	names, err := w.Functions(b.Project.Definition)
	if err != nil {
		return nil, err
	}
	functions := make([]*workflow.Function, len(names))
	for i, n := range names {
		if functions[i] = b.Project.Functions[n]; functions[i] == nil {
			return nil, fmt.Errorf("the project has no function %q: plan again", n)
		}
		if !isFolderName(n) {
			return nil, fmt.Errorf("function name %q cannot be a folder's: use letters, digits, '-', '_' and '.'", n)
		}
	}
	return functions, nil
}

// write makes the folder, all but its checksums.
func (b *builder) write(ctx context.Context, dir string, w *plan.Wrap, functions []*workflow.Function, python interpreter, site string) error {
	manifest := plan.Manifest{
		APIVersion: plan.APIVersion, PlanID: b.Options.Plan.Digest(), Wrap: w.Name,
		Lang: functions[0].Lang, Runtime: functions[0].Runtime,
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range functions {
		file, err := copyFunction(f, dir, b.Limits)
		if err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		manifest.Functions = append(manifest.Functions, plan.ManifestFunction{
			Name: f.Name, File: file, Symbol: f.Symbol, Env: f.Env, Timeout: f.Timeout, Memory: f.Memory,
		})
	}
	if site != "" {
		if err := b.copySite(site, filepath.Join(dir, "site")); err != nil {
			return err
		}
	}
	if err := b.copyHost(ctx, functions[0].Lang, python, filepath.Join(dir, "host", functions[0].Lang)); err != nil {
		return fmt.Errorf("host program: %w", err)
	}
	data, err := manifestJSON(&manifest)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		plan.ManifestFile: data, plan.PlanFile: b.plan, plan.DefinitionFile: b.definition,
	} {
		if err := writeFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// install puts a staged bundle in place. A rename cannot replace a folder that
// is not empty, so the old one is moved into the staging folder first; between
// the two renames there is none.
func install(made Bundle, final, staging string) error {
	old, err := os.Lstat(final)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		if old.IsDir() {
			if existing, err := Verify(final); err == nil && existing.Digest == made.Digest {
				return nil
			}
			if !isBundle(final) {
				return fmt.Errorf("%s is in the way and is no bundle: move it, or choose another folder", final)
			}
		} else {
			return fmt.Errorf("%s is in the way and is no folder: move it, or choose another folder", final)
		}
		if err := os.Rename(final, filepath.Join(staging, "old-"+made.Wrap)); err != nil {
			return err
		}
	}
	return os.Rename(made.Dir, final)
}

// isBundle says whether a folder may be replaced by a build: it is empty or an
// earlier build's.
func isBundle(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	if len(entries) == 0 {
		return true
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == plan.ManifestFile })
}

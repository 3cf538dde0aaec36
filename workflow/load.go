package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ProjectFile is the name of a project's file in its folder.
const ProjectFile = "chiron.yaml"

// maxInput bounds the sample input, in bytes.
const maxInput = 16 << 20

// Load reads a project: path is its folder or its project file. It reads the
// definition and the sample input too, and checks that what the project names
// is there: every Task's function, every handler and requirements file, all of
// them inside the project's folder.
//
// The error joins an *Error for every fault, in the project file first, then
// in the definition, then in the input, sorted by position in each.
func Load(path string) (*Project, error) {
	file, err := findProject(path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", file, err)
	}
	l := &loader{file: file, dir: dir, faults: &faults{}}
	data, err := readBounded(file, maxSource)
	if err != nil {
		return nil, &Error{Pos: Position{File: file}, Problem: err.Error()}
	}
	var n *node
	if strings.EqualFold(filepath.Ext(file), ".json") {
		n = parseJSON(file, data, l.faults)
	} else {
		n = parseYAML(file, data, l.faults)
	}
	var p *Project
	if n != nil {
		p = l.project(n)
	}
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// findProject returns the project file that path means.
func findProject(path string) (string, error) {
	info, err := os.Stat(path)
	at := Position{File: path}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &Error{Pos: at, Problem: "no such file or folder", Hint: "make a project there with: chiron init " + path}
	case err != nil:
		return "", &Error{Pos: at, Problem: reason(err)}
	case !info.IsDir():
		return path, nil
	}
	file := filepath.Join(path, ProjectFile)
	if _, err := os.Stat(file); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return "", &Error{Pos: Position{File: file}, Problem: reason(err)}
		}
		hint := "make a project there with: chiron init " + path
		if _, err := os.Stat(filepath.Join(path, "chiron.yml")); err == nil {
			hint = "rename chiron.yml to " + ProjectFile
		}
		return "", &Error{Pos: at, Problem: "no " + ProjectFile + " in this folder", Hint: hint}
	}
	return file, nil
}

// reason is an operating system's error without the path, which the position
// has.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file) // before opening: a pipe would block
	if err != nil {
		return nil, errors.New(reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, errors.New(reason(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the file is larger than %d KiB", limit>>10)
	}
	return data, nil
}

// loader reads one project.
type loader struct {
	// file as the user named it, for messages; dir is the project's folder,
	// absolute and without symbolic links.
	file, dir string
	faults    *faults
}

func (l *loader) add(pos Position, hint, format string, args ...any) {
	l.faults.add(pos, "", fmt.Sprintf(format, args...), hint)
}

func (l *loader) project(n *node) *Project {
	if n.kind != objectNode {
		l.add(n.pos, "begin with: name: my-project", "a project file must be a mapping, not %s", n.kind)
		return nil
	}
	if n.get("StartAt") != nil && n.get("States") != nil {
		l.add(n.pos, "name the folder with the "+ProjectFile+" that names it", "this is a definition, not a project")
		return nil
	}
	file, err := filepath.Abs(l.file)
	if err != nil {
		file = l.file // only where the working folder is gone; a name for messages
	}
	p := &Project{Dir: l.dir, File: file, Functions: make(map[string]*Function), Input: json.RawMessage("{}")}
	known := []string{"name", "slo", "definition", "functions", "input", "objectStore", "apart", "together", "limits", "scale", "prices"}
	var definition, input, apart, together, limits *node
	for _, f := range n.fields {
		switch f.name {
		case "name":
			p.Name = l.projectName(f)
		case "slo":
			p.SLO = l.slo(f)
		case "definition":
			definition = f.value
			p.DefinitionFile = l.inside(f.value, f.name)
		case "functions":
			l.functions(p, f.value)
		case "input":
			input = f.value
			p.InputFile = l.inside(f.value, f.name)
		case "objectStore":
			p.ObjectStore = l.loopback(f.value, f.name)
		case "apart":
			apart = f.value
		case "together":
			together = f.value
		case "limits":
			limits = f.value
		case "scale":
			p.Scale = l.scale(f.value)
		case "prices":
			p.PricesFile = l.inside(f.value, f.name)
		default:
			l.unknownField(f, "the project", known)
		}
	}
	if n.get("name") == nil {
		l.add(n.pos, "write: name: "+suggestedName(l.dir), `"name" is missing`)
	}
	if n.get("functions") == nil {
		l.add(n.pos, "write: functions: {NAME: {handler: FILE}}", `"functions" is missing`)
	}
	if definition == nil {
		l.add(n.pos, "write: definition: workflow.asl.json", `"definition" is missing`)
	}
	if p.DefinitionFile != "" {
		p.Definition = l.definition(definition, p)
	}
	l.rules(p, apart, together, limits)
	if p.InputFile != "" {
		p.Input = l.input(input, p.InputFile)
	}
	return p
}

func (l *loader) unknownField(f field, what string, known []string) {
	l.add(f.pos, hints(didYouMean(f.name, known), "fields: "+strings.Join(known, ", ")), "no such field in %s: %q", what, f.name)
}

// shown is a project's file as the user would name it.
func (l *loader) shown(n *node) string {
	return filepath.Join(filepath.Dir(l.file), filepath.FromSlash(n.text))
}

func (l *loader) definition(n *node, p *Project) *Definition {
	data, err := readBounded(p.DefinitionFile, maxSource)
	if err != nil {
		l.add(n.pos, "", "definition %q: %v", n.text, err)
		return nil
	}
	parser := parser{faults: l.faults}
	d := parser.parse(l.shown(n), data)
	if d != nil {
		l.checkResources(d, p.Functions)
	}
	return d
}

// checkResources reports every Task whose Resource names no function of the
// project.
func (l *loader) checkResources(d *Definition, functions map[string]*Function) {
	for _, name := range d.Order {
		s := d.States[name]
		for _, b := range s.Branches {
			l.checkResources(b, functions)
		}
		if _, ok := functions[s.Function]; ok || s.Function == "" {
			continue
		}
		names := make([]string, 0, len(functions))
		for f := range functions {
			names = append(names, f)
		}
		slices.Sort(names) // a tie of closeness always falls alike
		l.faults.add(s.ResourcePos, s.Name, fmt.Sprintf("Resource names no function of %s: %q", ProjectFile, s.Function),
			hints(didYouMean(s.Function, names), listed("functions", names)))
	}
}

func (l *loader) input(n *node, file string) json.RawMessage {
	data, err := readBounded(file, maxInput)
	if err != nil {
		l.add(n.pos, "", "input %q: %v", n.text, err)
		return nil
	}
	if json.Valid(data) {
		return data
	}
	var f faults // our own reader says where
	parseJSON(l.shown(n), data, &f)
	if len(f.list) == 0 {
		f.add(Position{File: l.shown(n)}, "", "not JSON, or nested too deep", "")
	}
	l.faults.list = append(l.faults.list, f.list...)
	return nil
}

// loopback reads an address that only this machine can reach.
func (l *loader) loopback(n *node, what string) string {
	host, port, err := net.SplitHostPort(n.text)
	ip := net.ParseIP(host)
	number, bad := strconv.ParseUint(port, 10, 16)
	if n.kind != stringNode || err != nil || ip == nil || !ip.IsLoopback() || bad != nil || number == 0 {
		l.add(n.pos, "write for example 127.0.0.1:9753", "%q must be a loopback address with a port, not %s", what, n.described())
		return ""
	}
	return n.text
}

// inside resolves the path of a file or folder that must be in the project's
// folder, also after symbolic links; it is "" after a fault.
func (l *loader) inside(n *node, what string) string {
	if n.kind != stringNode || n.text == "" {
		l.add(n.pos, "", "%q must be a path in the project's folder, not %s", what, n.described())
		return ""
	}
	return l.resolve(n.pos, what, n.text)
}

func (l *loader) resolve(pos Position, what, text string) string {
	path := filepath.FromSlash(text)
	if strings.ContainsRune(text, 0) || !filepath.IsLocal(path) {
		l.add(pos, "name a path inside it, relative to "+ProjectFile, "%s %q leads out of the project's folder", what, text)
		return ""
	}
	full, err := filepath.EvalSymlinks(filepath.Join(l.dir, path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(pos, l.nearFile(path), "%s %q does not exist", what, text)
		return ""
	case err != nil:
		l.add(pos, "", "%s %q: %s", what, text, reason(err))
		return ""
	}
	if rel, err := filepath.Rel(l.dir, full); err != nil || !filepath.IsLocal(rel) {
		l.add(pos, "put the file itself into the folder", "%s %q leads out of the project's folder through a symbolic link", what, text)
		return ""
	}
	return full
}

// nearFile hints at a file of a similar name in the same folder.
func (l *loader) nearFile(path string) string {
	entries, err := os.ReadDir(filepath.Join(l.dir, filepath.Dir(path)))
	if err != nil {
		return ""
	}
	const most = 1000
	names := make([]string, 0, len(entries))
	for _, e := range entries[:min(len(entries), most)] {
		names = append(names, e.Name())
	}
	if c := closest(filepath.Base(path), names); c != "" {
		return fmt.Sprintf("did you mean %q?", filepath.ToSlash(filepath.Join(filepath.Dir(path), c)))
	}
	return ""
}

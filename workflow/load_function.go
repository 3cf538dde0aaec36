package workflow

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/chiron-faas/chiron/internal/requirement"
)

// functions reads {NAME: {…}} or [{name: NAME, …}].
func (l *loader) functions(p *Project, n *node) {
	switch {
	case n.kind == objectNode && len(n.fields) > 0:
		for _, f := range n.fields {
			l.function(p, f.name, f.pos, f.value, false)
		}
	case n.kind == arrayNode && len(n.items) > 0:
		for _, item := range n.items {
			name := item.get("name")
			if name == nil || name.kind != stringNode {
				l.add(item.pos, "write: - name: NAME", "a function in the list has no name")
				continue
			}
			l.function(p, name.text, name.pos, item, true)
		}
	default:
		l.add(n.pos, "write: functions: {NAME: {handler: FILE}}", `"functions" must be a mapping of names or a list, not %s`, n.described())
	}
}

func (l *loader) function(p *Project, name string, pos Position, n *node, inList bool) {
	if problem := checkFunctionName(name); problem != "" {
		l.add(pos, "", "function %q: %s", name, problem)
		return
	}
	if first, twice := p.Functions[name]; twice {
		l.add(pos, fmt.Sprintf("the first is on line %d", first.Pos.Line), "two functions are named %q", name)
		return
	}
	fn := &Function{Name: name, Timeout: DefaultTimeout, Pos: pos}
	p.Functions[name] = fn // also after a fault: its tasks are no fault of their own
	if n.kind != objectNode {
		l.add(n.pos, fmt.Sprintf("write: %s: {handler: FILE}", name), "function %q must be a mapping, not %s", name, n.described())
		return
	}
	known := []string{"lang", "runtime", "handler", "requirements", "env", "timeout", "memory"}
	for _, f := range n.fields {
		switch f.name {
		case "lang":
			fn.Lang = l.lang(f)
		case "runtime":
			fn.Runtime = l.runtime(f)
		case "handler":
			l.handler(fn, f)
		case "requirements":
			fn.Requirements, fn.Packages = l.requirements(f)
		case "env":
			fn.Env = l.env(f)
		case "timeout":
			fn.Timeout = l.duration(f.value, f.name)
		case "memory":
			fn.Memory = l.memory(f.value)
		default:
			if f.name != "name" || !inList {
				l.unknownField(f, fmt.Sprintf("function %q", name), known)
			}
		}
	}
	if n.get("handler") == nil {
		l.add(pos, "write: handler: FILE, FILE:SYMBOL or a folder", "function %q has no handler", name)
	}
	if fn.Lang == "" && n.get("lang") == nil {
		fn.Lang = "python" // the only one; a handler's extension was checked
	}
}

func (l *loader) lang(f field) string {
	lang, ok := l.text(f)
	if ok && lang != "python" {
		hint := "leave it out, or write: lang: python"
		if strings.HasPrefix(lang, "python") {
			hint = fmt.Sprintf("write: lang: python and runtime: %q", strings.TrimPrefix(lang, "python"))
		}
		l.add(f.value.pos, hint, "language %q is not supported yet", lang)
		return ""
	}
	return lang
}

// runtime takes a version as it is written: 3.10 is not 3.1.
func (l *loader) runtime(f field) string {
	runtime := f.value.written
	if f.value.kind != stringNode && f.value.kind != numberNode || !regexp.MustCompile(`^([0-9]+(\.[0-9]+){0,2}|[A-Za-z][A-Za-z0-9._+-]*|/[^\x00-\x1f]+)$`).MatchString(runtime) {
		l.add(f.value.pos, `write a version ("3.12"), a command (python3.12) or an absolute path`, "runtime is none that can be looked for: %s", f.value.described())
		return ""
	}
	return runtime
}

// handlerFiles are looked for in a handler that is a folder, in this order.
func handlerFiles() []string {
	return []string{"handler.py", "index.py", "main.py", "function.py"}
}

// handler reads FILE, FILE:SYMBOL, FOLDER or FOLDER:SYMBOL.
func (l *loader) handler(fn *Function, f field) {
	text, ok := l.text(f)
	if !ok {
		return
	}
	pos := f.value.pos
	path, symbol, named := strings.Cut(text, ":")
	if named && !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(symbol) {
		l.add(pos, "write FILE:NAME with the name of a function in the file", "handler %q: %q is no name of a Python function", text, symbol)
		return
	}
	fn.Symbol = symbol
	before := len(l.faults.list)
	full := l.resolve(pos, "handler", path)
	if full == "" {
		l.hintLambda(path, l.faults.list[before:])
		return
	}
	info, err := os.Stat(full)
	switch {
	case err != nil:
		l.add(pos, "", "handler %q: %s", path, reason(err))
		return
	case info.IsDir():
		l.handlerFolder(fn, pos, path, full)
		return
	case !info.Mode().IsRegular():
		l.add(pos, "", "handler %q is not a regular file", path)
		return
	}
	fn.Dir, fn.File = filepath.Split(full)
	fn.Dir = filepath.Clean(fn.Dir)
	if ext := filepath.Ext(full); ext != ".py" {
		if lang := langOf(ext); lang != "" {
			l.add(pos, "supported: python", "handler %q: language %q is not supported yet", path, lang)
		} else {
			l.add(pos, "a handler is a .py file or a folder with one", "handler %q is no Python file", path)
		}
	}
}

// langOf names the language of a file that is not Python, or "".
func langOf(ext string) string {
	switch ext {
	case ".js", ".mjs", ".cjs", ".ts":
		return "node"
	case ".java", ".jar":
		return "java"
	case ".go":
		return "go"
	case ".rb":
		return "ruby"
	}
	return ""
}

// hintLambda completes a fault for a handler in AWS' notation, app.handler.
func (l *loader) hintLambda(path string, added []*Error) {
	i := strings.LastIndexByte(path, '.')
	if i <= 0 || len(added) == 0 || !filepath.IsLocal(path) {
		return
	}
	file := path[:i] + ".py"
	if _, err := os.Stat(filepath.Join(l.dir, filepath.FromSlash(file))); err == nil {
		added[len(added)-1].Hint = fmt.Sprintf("write: handler: %s:%s", file, path[i+1:])
	}
}

func (l *loader) handlerFolder(fn *Function, pos Position, path, full string) {
	for _, name := range handlerFiles() {
		info, err := os.Stat(filepath.Join(full, name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		resolved := l.resolve(pos, "handler", filepath.ToSlash(filepath.Join(path, name)))
		if resolved == "" {
			return
		}
		fn.Dir, fn.File, fn.Folder = full, name, true
		return
	}
	l.add(pos, "or name the file: handler: "+filepath.ToSlash(filepath.Join(path, "FILE.py")),
		"handler %q is a folder with none of %s", path, strings.Join(handlerFiles(), ", "))
}

func (l *loader) requirements(f field) (string, []requirement.Line) {
	full := l.inside(f.value, f.name)
	if full == "" {
		return "", nil
	}
	if info, err := os.Stat(full); err != nil || !info.Mode().IsRegular() {
		l.add(f.value.pos, "name a pip requirements file", "requirements %q is not a regular file", f.value.text)
		return "", nil
	}
	file, err := requirement.Read(full)
	if err != nil {
		l.add(f.value.pos, "", "requirements %q: %v", f.value.text, err)
		return "", nil
	}
	return full, file.Lines
}

func (l *loader) env(f field) map[string]string {
	if f.value.kind == nullNode {
		return nil
	}
	if f.value.kind != objectNode {
		l.add(f.value.pos, "write: env: {NAME: value}", `"env" must be a mapping, not %s`, f.value.described())
		return nil
	}
	name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	env := make(map[string]string, len(f.value.fields))
	for _, v := range f.value.fields {
		switch {
		case !name.MatchString(v.name):
			l.add(v.pos, "letters, digits and _, not a digit first", "env %q is no name of a variable", v.name)
		case v.value.kind == objectNode || v.value.kind == arrayNode || v.value.kind == nullNode:
			l.add(v.value.pos, "write it in quotes", "env %s must be text, not %s", v.name, v.value.kind)
		case strings.ContainsRune(v.value.written, 0):
			l.add(v.value.pos, "", "env %s has a zero byte", v.name)
		default:
			env[v.name] = v.value.written
		}
	}
	return env
}

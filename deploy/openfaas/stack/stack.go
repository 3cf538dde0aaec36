package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Stack is what of a stack file a project has.
type Stack struct {
	Functions []Function // in the file's order
	// Notes are what the project does not have, a line each.
	Notes []string
}

// Function is one of a stack.
type Function struct {
	Name string
	// Runtime as a project declares it ("3.12"); empty: the machine's default.
	Runtime string
	// Handler and Requirements are paths relative to the stack file; Requirements is
	// empty where there are none.
	Handler, Requirements string
	Env                   map[string]string
	// Timeout of one call; 0: none is told.
	Timeout time.Duration
	// Memory as it is written ("128Mi"); empty: none is told.
	Memory string
}

// document is the stack file, as far as it is read.
type document struct {
	Functions yaml.Node `yaml:"functions"`
}

type entry struct {
	Lang            string            `yaml:"lang"`
	Handler         string            `yaml:"handler"`
	Environment     map[string]string `yaml:"environment"`
	EnvironmentFile []string          `yaml:"environment_file"`
	Secrets         []string          `yaml:"secrets"`
	Limits          struct {
		Memory string `yaml:"memory"`
	} `yaml:"limits"`
	ReadOnly bool `yaml:"readonly_root_filesystem"`
}

// maxFile bounds a stack file, bytes.
const maxFile = 4 << 20

// Read reads a stack file; env resolves its ${NAME} and ${NAME:-default}. The error
// joins one line for each function that cannot be taken over.
func Read(file string, env func(string) string) (*Stack, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the stack file: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has %d bytes: that is no stack file", file, len(data))
	}
	var d document
	if err := yaml.Unmarshal(expand(data, env), &d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if d.Functions.Kind != yaml.MappingNode || len(d.Functions.Content) == 0 {
		return nil, fmt.Errorf("%s names no functions: is it a stack file?", file)
	}
	s := &Stack{}
	var faults []error
	for i := 0; i < len(d.Functions.Content); i += 2 {
		key, value := d.Functions.Content[i], d.Functions.Content[i+1]
		f, err := s.function(filepath.Dir(file), key.Value, value)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: function %q: %w", file, key.Line, key.Value, err))
			continue
		}
		s.Functions = append(s.Functions, f)
	}
	return s, errors.Join(faults...)
}

// pythons are the languages of templates that our host runs: python3-http,
// python3-flask-debian, python27 is not among them.
var pythons = regexp.MustCompile(`^python3(?:-[a-z-]+)?$|^python(3\.\d+)(?:-[a-z-]+)?$`)

func (s *Stack) function(dir, name string, node *yaml.Node) (Function, error) {
	var e entry
	if err := node.Decode(&e); err != nil {
		return Function{}, err
	}
	match := pythons.FindStringSubmatch(e.Lang)
	switch {
	case e.Lang == "" || e.Handler == "":
		return Function{}, errors.New("it has no lang and handler: a function that is only an image cannot be taken over")
	case match == nil:
		return Function{}, fmt.Errorf("language %q is not supported yet: take it out of the file, or keep it on OpenFaaS", e.Lang)
	}
	f := Function{Name: name, Runtime: match[1], Handler: path.Clean(filepath.ToSlash(e.Handler)), Memory: e.Limits.Memory, Env: make(map[string]string)}
	if !filepath.IsLocal(f.Handler) {
		return f, fmt.Errorf("handler %q leads out of the stack file's folder", e.Handler)
	}
	if info, err := os.Stat(filepath.Join(dir, f.Handler)); err != nil || !info.IsDir() {
		return f, fmt.Errorf("handler %q is no folder beside the stack file", e.Handler)
	}
	if _, err := os.Stat(filepath.Join(dir, f.Handler, "requirements.txt")); err == nil {
		f.Requirements = path.Join(f.Handler, "requirements.txt")
	}
	for _, file := range e.EnvironmentFile {
		if err := readEnvironment(dir, file, f.Env); err != nil {
			return f, err
		}
	}
	for key, value := range e.Environment {
		f.Env[key] = value
	}
	if err := s.settings(&f); err != nil {
		return f, err
	}
	if len(e.Secrets) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s has secrets: chiron deploy --secret %s", name, strings.Join(e.Secrets, ",")))
	}
	return f, nil
}

// settings takes out of the environment what is the watchdog's and not the
// function's.
func (s *Stack) settings(f *Function) error {
	if text, ok := f.Env["exec_timeout"]; ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			d, err = time.ParseDuration(text + "s") // a number means seconds
		}
		if err != nil || d < 0 {
			return fmt.Errorf("exec_timeout %q is no duration", text)
		}
		f.Timeout = d
	}
	for _, name := range []string{"exec_timeout", "read_timeout", "write_timeout", "healthcheck_interval", "max_inflight", "write_debug"} {
		delete(f.Env, name)
	}
	return nil
}

// readEnvironment adds the variables of an environment_file.
func readEnvironment(dir, file string, env map[string]string) error {
	if !filepath.IsLocal(file) {
		return fmt.Errorf("environment_file %q leads out of the stack file's folder", file)
	}
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return fmt.Errorf("environment_file: %w", err)
	}
	var d struct {
		Environment map[string]string `yaml:"environment"`
	}
	if err := yaml.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("environment_file %s: %w", file, err)
	}
	for key, value := range d.Environment {
		env[key] = value
	}
	return nil
}

var variables = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}`)

// expand replaces variables, as OpenFaaS' client does before it reads the file.
func expand(data []byte, env func(string) string) []byte {
	return variables.ReplaceAllFunc(data, func(m []byte) []byte {
		parts := variables.FindSubmatch(m)
		if value := env(string(parts[1])); value != "" {
			return []byte(value)
		}
		return parts[2]
	})
}

// Project is the text of a chiron.yaml and of the definition beside it.
func (s *Stack) Project(name, definitionFile string) (project, definition []byte, err error) {
	functions := &yaml.Node{Kind: yaml.MappingNode}
	states := make([]string, len(s.Functions))
	for i, f := range s.Functions {
		fields := []any{"handler", f.Handler}
		if f.Runtime != "" {
			fields = append(fields, "runtime", f.Runtime)
		}
		if f.Requirements != "" {
			fields = append(fields, "requirements", f.Requirements)
		}
		if len(f.Env) > 0 {
			fields = append(fields, "env", f.Env)
		}
		if f.Timeout > 0 {
			fields = append(fields, "timeout", f.Timeout.String())
		}
		if f.Memory != "" {
			fields = append(fields, "memory", f.Memory)
		}
		fn, err := mapping(fields...)
		if err != nil {
			return nil, nil, err
		}
		key := &yaml.Node{}
		key.SetString(f.Name)
		functions.Content = append(functions.Content, key, fn)
		states[i] = f.Name
	}
	root, err := mapping("name", name, "definition", definitionFile, "functions", functions)
	if err != nil {
		return nil, nil, err
	}
	var text bytes.Buffer
	text.WriteString("# Made of an OpenFaaS stack file by chiron import. Give it an objective: slo: 200ms\n")
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(root), e.Close()); err != nil {
		return nil, nil, fmt.Errorf("write the project: %w", err)
	}
	definition, err = sequence(states)
	return text.Bytes(), definition, err
}

// mapping is a YAML mapping of keys and values in their order.
func mapping(fields ...any) (*yaml.Node, error) {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, v := range fields {
		n, ok := v.(*yaml.Node)
		if !ok {
			n = &yaml.Node{}
			if err := n.Encode(v); err != nil {
				return nil, fmt.Errorf("write the project: %w", err)
			}
		}
		m.Content = append(m.Content, n)
	}
	return m, nil
}

// sequence is a definition that calls the functions one after the other.
func sequence(names []string) ([]byte, error) {
	var b bytes.Buffer
	quote := func(s string) string {
		q, err := json.Marshal(s)
		if err != nil {
			return `""` // a string can always be marshalled
		}
		return string(q)
	}
	fmt.Fprintf(&b, "{\"StartAt\": %s, \"States\": {", quote(names[0]))
	for i, name := range names {
		next := `"End": true`
		if i+1 < len(names) {
			next = `"Next": ` + quote(names[i+1])
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s: {\"Type\": \"Task\", \"Resource\": %s, %s}", quote(name), quote(name), next)
	}
	b.WriteString("}}")
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("write the definition: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

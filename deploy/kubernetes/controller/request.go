package controller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/workflow"
)

// request is a Workflow's spec, read and checked.
type request struct {
	name       string
	definition *workflow.Definition
	// functions have the image that they are in as their runtime: what is in two
	// images may not share a wrap, as what needs two interpreters may not.
	functions   map[string]*workflow.Function
	images      []v1alpha1.Image
	imageOf     map[string]int // by function
	rules       workflow.Rules
	slo         workflow.SLO
	concurrency int
	settings    kubernetes.Settings
	env         []string // "NAME=value"
}

// inImage is the "language" of functions: it goes before the image's reference where
// a message says why two are apart.
const inImage = "image"

// newRequest reads a Workflow. The error is a *Refusal.
func newRequest(w *v1alpha1.Workflow) (*request, error) {
	r := &request{name: w.Name, functions: make(map[string]*workflow.Function), images: w.Spec.Images, imageOf: make(map[string]int)}
	if !dnslabel.Valid(r.name) {
		return nil, refuse(v1alpha1.ReasonInvalidSpec, "the name %q is none of a Service: use a-z, 0-9 and '-', at most 63 characters", r.name)
	}
	var err error
	if r.definition, err = definitionOf(w.Spec.Definition.Raw); err != nil {
		return nil, refuse(v1alpha1.ReasonInvalidDefinition, "spec.definition: %s", faultsOf(err))
	}
	for _, read := range []func(*v1alpha1.WorkflowSpec) error{r.readImages, r.readSLO, r.readLimits, r.readRules, r.readSettings, r.readEnv} {
		if err := read(&w.Spec); err != nil {
			return nil, err
		}
	}
	r.settings.Namespace = w.Namespace
	if err := r.settings.Check(); err != nil {
		return nil, refuse(v1alpha1.ReasonInvalidSpec, "spec: %v", err)
	}
	return r, nil
}

// definitionOf reads an object, or the text of one.
func definitionOf(raw []byte) (*workflow.Definition, error) {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		raw = []byte(text)
	}
	return workflow.ParseDefinition("definition", raw)
}

func (r *request) readImages(s *v1alpha1.WorkflowSpec) error {
	for i, image := range s.Images {
		if strings.TrimSpace(image.Image) == "" {
			return refuse(v1alpha1.ReasonInvalidSpec, "spec.images: image %d has no reference", i+1)
		}
		for _, f := range image.Functions {
			if other, twice := r.imageOf[f]; twice {
				return refuse(v1alpha1.ReasonInvalidSpec, "spec.images: function %q is in %s and in %s: name it once", f, s.Images[other].Image, image.Image)
			}
			r.imageOf[f] = i
			r.functions[f] = &workflow.Function{Name: f, Lang: inImage, Runtime: image.Image}
		}
	}
	var missing []string
	for _, task := range r.definition.Tasks() {
		if r.functions[task.Function] == nil && !slices.Contains(missing, strconv.Quote(task.Function)) {
			missing = append(missing, strconv.Quote(task.Function))
		}
	}
	if missing != nil {
		return refuse(v1alpha1.ReasonFunctionMissing, "no image of spec.images has function %s, which the definition calls", strings.Join(missing, ", "))
	}
	return nil
}

func (r *request) readSLO(s *v1alpha1.WorkflowSpec) error {
	if s.SLO == nil {
		return nil
	}
	latency, err := positive("spec.slo.latency", s.SLO.Latency)
	if err != nil {
		return err
	}
	r.slo = workflow.SLO{Latency: latency, Percentile: workflow.DefaultPercentile}
	p := s.SLO.Percentile
	if p == nil {
		return nil
	}
	if p.Type == intstr.String && p.StrVal == "mean" {
		r.slo.Percentile = 0
		return nil
	}
	x, err := strconv.ParseFloat(p.String(), 64)
	if err != nil || !(x > 0 && x < 100) {
		return refuse(v1alpha1.ReasonInvalidSpec, "spec.slo.percentile: %q is no number between 0 and 100, and not \"mean\"", p.String())
	}
	r.slo.Percentile = x
	return nil
}

func (r *request) readLimits(s *v1alpha1.WorkflowSpec) error {
	r.concurrency = int(s.Concurrency)
	if r.concurrency < 0 || r.concurrency > workflow.MaxConcurrency {
		return refuse(v1alpha1.ReasonInvalidSpec, "spec.concurrency: %d is not between 1 and %d", r.concurrency, workflow.MaxConcurrency)
	}
	l := s.Limits
	if l == nil {
		return nil
	}
	r.rules.Limits = workflow.Limits{CPUs: int(l.CPUs), Wraps: int(l.Wraps)}
	if l.CPUs < 0 || l.Wraps < 0 {
		return refuse(v1alpha1.ReasonInvalidSpec, "spec.limits: %d CPUs, %d wraps: give positive numbers, or leave them out", l.CPUs, l.Wraps)
	}
	if l.Memory != nil {
		const least = 1 << 20 // less is surely a missing unit
		if r.rules.Limits.Memory = l.Memory.Value(); r.rules.Limits.Memory < least {
			return refuse(v1alpha1.ReasonInvalidSpec, "spec.limits.memory: %s is too little for any function: is its unit missing?", l.Memory)
		}
	}
	return nil
}

func (r *request) readRules(s *v1alpha1.WorkflowSpec) error {
	for _, list := range []struct {
		name  string
		lists [][]string
		to    *[]workflow.Rule
	}{{"apart", s.Apart, &r.rules.Apart}, {"together", s.Together, &r.rules.Together}} {
		for _, names := range list.lists {
			rule, err := r.rule("spec."+list.name, names)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, rule)
		}
	}
	return nil
}

// rule finds the tasks that names stand for: those of a Task state's name, or all
// that call a function.
func (r *request) rule(field string, names []string) (workflow.Rule, error) {
	var rule workflow.Rule
	from := make(map[string]string)
	for _, name := range names {
		m := workflow.Member{Name: name}
		for _, task := range r.definition.Tasks() {
			if task.Name != name && task.Function != name {
				continue
			}
			if other, twice := from[task.Name]; twice {
				return rule, refuse(v1alpha1.ReasonInvalidSpec, "%s: %q and %q both stand for task %q: name one", field, other, name, task.Name)
			}
			from[task.Name] = name
			m.Tasks = append(m.Tasks, task.Name)
		}
		if m.Tasks == nil {
			return rule, refuse(v1alpha1.ReasonInvalidSpec, "%s: %q names no Task state of the definition, and no function that one calls", field, name)
		}
		rule.Members = append(rule.Members, m)
	}
	if len(rule.Members) < 2 {
		return rule, refuse(v1alpha1.ReasonInvalidSpec, "%s: a list needs two names at least", field)
	}
	return rule, nil
}

func (r *request) readSettings(s *v1alpha1.WorkflowSpec) error {
	r.settings.From, r.settings.PullSecrets = s.AllowFrom, s.PullSecrets
	if s.Instances != nil {
		r.settings.Min, r.settings.Max = s.Instances.Min, s.Instances.Max
	}
	if s.Grace != "" {
		var err error
		if r.settings.Grace, err = positive("spec.grace", s.Grace); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) readEnv(s *v1alpha1.WorkflowSpec) error {
	seen := make(map[string]bool)
	for _, v := range s.Env {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.Contains(v.Value, "\x00") {
			return refuse(v1alpha1.ReasonInvalidSpec, "spec.env: %q is no variable", v.Name)
		}
		if seen[v.Name] {
			return refuse(v1alpha1.ReasonInvalidSpec, "spec.env: %s is given twice", v.Name)
		}
		seen[v.Name] = true
		r.env = append(r.env, fmt.Sprintf("%s=%s", v.Name, v.Value))
	}
	return nil
}

// positive reads a duration of more than nothing.
func positive(field, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, refuse(v1alpha1.ReasonInvalidSpec, "%s: %q is no duration: write a number and its unit, such as 120ms", field, text)
	}
	return d, nil
}

package controller

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// audit is a workflow of a function that waits and three that compute beside each
// other.
const audit = `{"StartAt": "Fetch", "States": {
  "Fetch": {"Type": "Task", "Resource": "fetch", "Next": "Rules"},
  "Rules": {"Type": "Parallel", "End": true, "Branches": [
    {"StartAt": "One", "States": {"One": {"Type": "Task", "Resource": "one", "End": true}}},
    {"StartAt": "Two", "States": {"Two": {"Type": "Task", "Resource": "two", "End": true}}},
    {"StartAt": "Three", "States": {"Three": {"Type": "Task", "Resource": "three", "End": true}}}
  ]}
}}`

// audited is its profile: at least 50 ms in one go, 110 on one CPU.
func audited(t testing.TB) string {
	t.Helper()
	p := predicttest.Behave(t, "Fetch: block 20, One: cpu 30, Two: cpu 30, Three: cpu 30")
	for i := range p.Functions {
		f := &p.Functions[i]
		f.Name, f.Lang, f.Version, f.Runs = strings.ToLower(f.Tasks[0]), "python", "3.11.7", 20
		for _, period := range f.Periods {
			f.Wall.Mean += period.Mean
		}
		f.Wall.Min, f.Wall.P50, f.Wall.P99, f.Wall.Max = f.Wall.Mean, f.Wall.Mean, f.Wall.Mean, f.Wall.Mean
	}
	var text bytes.Buffer
	if err := p.Encode(&text); err != nil {
		t.Fatal(err)
	}
	if _, err := profile.Decode(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// constantsFile has those of a machine.
func constantsFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calibration.json")
	c := predict.Paper()
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func constants(t testing.TB) []byte {
	t.Helper()
	text, err := readCalibration(constantsFile(t))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// flow is a Workflow of audit, with its functions in one image.
func flow() *v1alpha1.Workflow {
	return &v1alpha1.Workflow{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: "audit", Namespace: "team", UID: "uid-1", Generation: 1},
		Spec: v1alpha1.WorkflowSpec{
			Definition: runtime.RawExtension{Raw: []byte(audit)},
			Images:     []v1alpha1.Image{{Image: "registry.example.org/audit@sha256:1", Functions: []string{"fetch", "one", "two", "three"}}},
			SLO:        &v1alpha1.SLO{Latency: "200ms"},
			Profile:    v1alpha1.Source{ConfigMap: "audit-profile", Key: "profile.json"},
		},
	}
}

// profileMap is the ConfigMap that flow names.
func profileMap(t testing.TB) *corev1.ConfigMap {
	t.Helper()
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "audit-profile", Namespace: "team"}, Data: map[string]string{"profile.json": audited(t)}}
}

// planned reads, and plans, as the reconciler does.
func planned(t testing.TB, w *v1alpha1.Workflow, calibration []byte, objects ...client.Object) (*plan.Plan, error) {
	t.Helper()
	r, err := newRequest(w)
	if err != nil {
		return nil, err
	}
	in, err := readInputs(t.Context(), fake.NewClientBuilder().WithObjects(objects...).Build(), w, r, calibration)
	if err != nil {
		return nil, err
	}
	p, _, err := newPlanner().plan(t.Context(), w.UID, in, nothingKept)
	return p, err
}

func nothingKept(string) (*plan.Plan, error) { return nil, nil }

// TestPlans: the tighter the objective the more CPUs, and what the spec asks of a plan
// is kept.
func TestPlans(t *testing.T) {
	two := []v1alpha1.Image{{Image: "x@sha256:1", Functions: []string{"fetch", "one"}}, {Image: "y@sha256:2", Functions: []string{"two", "three"}}}
	for name, c := range map[string]struct {
		change func(s *v1alpha1.WorkflowSpec)
		cpus   int
		wraps  [][]string // tasks, sorted
	}{
		"loose":      {func(*v1alpha1.WorkflowSpec) {}, 1, [][]string{{"Fetch", "One", "Three", "Two"}}},
		"tighter":    {func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "100ms" }, 2, [][]string{{"Fetch", "One", "Three", "Two"}}},
		"tight":      {func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "70ms" }, 3, [][]string{{"Fetch", "One", "Three", "Two"}}},
		"none":       {func(s *v1alpha1.WorkflowSpec) { s.SLO = nil }, 1, [][]string{{"Fetch", "One", "Three", "Two"}}},
		"two images": {func(s *v1alpha1.WorkflowSpec) { s.Images = two }, 2, [][]string{{"Fetch", "One"}, {"Three", "Two"}}},
		"apart": {
			func(s *v1alpha1.WorkflowSpec) { s.Apart = [][]string{{"one", "Two"}} }, 2, [][]string{{"Fetch", "One", "Three"}, {"Two"}},
		},
		"a text": {
			func(s *v1alpha1.WorkflowSpec) { s.Definition.Raw = quoted(t, audit) }, 1, [][]string{{"Fetch", "One", "Three", "Two"}},
		},
		"limits": {
			func(s *v1alpha1.WorkflowSpec) {
				s.Limits = &v1alpha1.Limits{CPUs: 2, Memory: new(resource.MustParse("256Mi")), Wraps: 1}
				s.Concurrency = 7
			}, 1, [][]string{{"Fetch", "One", "Three", "Two"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := flow()
			c.change(&w.Spec)
			p, err := planned(t, w, constants(t), profileMap(t))
			if err != nil {
				t.Fatal(err)
			}
			var wraps [][]string
			for i := range p.Wraps {
				wraps = append(wraps, slices.Sorted(slices.Values(p.Wraps[i].TaskNames())))
				if l := w.Spec.Limits; l != nil && (p.Wraps[i].Memory != l.Memory.Value() || p.Wraps[i].Concurrency != 7) {
					t.Errorf("wrap %+v", p.Wraps[i])
				}
			}
			slices.SortFunc(wraps, slices.Compare)
			if p.CPUs() != c.cpus || !slices.EqualFunc(wraps, c.wraps, slices.Equal) {
				t.Errorf("%d CPUs, wraps %v, want %d, %v", p.CPUs(), wraps, c.cpus, c.wraps)
			}
			if o := p.Objective; o == nil || o.Predicted <= 0 || w.Spec.SLO != nil && (o.Predicted > o.SLO || o.Percentile != 95) {
				t.Errorf("objective %+v", o)
			}
			again, err := planned(t, w, constants(t), profileMap(t))
			if err != nil || again.Digest() != p.Digest() {
				t.Errorf("planned again it is %v, %v", again, err)
			}
		})
	}
}

func quoted(t testing.TB, text string) []byte {
	t.Helper()
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRefusals: why there is no plan, each with its reason and what it is about.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *v1alpha1.Workflow, m *corev1.ConfigMap)
		reason string
		want   []string
	}{
		"no definition": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Definition.Raw = []byte(`{"StartAt": "A"}`) },
			v1alpha1.ReasonInvalidDefinition,
			[]string{`no "States"`},
		},
		"a state that leads nowhere": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Definition.Raw = []byte(strings.ReplaceAll(audit, `"Next": "Rules"`, `"Next": "Rule"`))
			},
			v1alpha1.ReasonInvalidDefinition,
			[]string{`state "Fetch"`, `did you mean "Rules"?`},
		},
		"no JSON": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Definition.Raw = quoted(t, "{") },
			v1alpha1.ReasonInvalidDefinition,
			[]string{"spec.definition: "},
		},
		"a function in no image": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Images[0].Functions = []string{"fetch", "two"} },
			v1alpha1.ReasonFunctionMissing,
			[]string{`function "one", "three"`},
		},
		"a function in two": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Images = append(w.Spec.Images, v1alpha1.Image{Image: "y", Functions: []string{"two"}})
			},
			v1alpha1.ReasonInvalidSpec,
			[]string{`function "two" is in registry.example.org/audit@sha256:1 and in y`},
		},
		"a name with dots": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Name = "a.b" }, v1alpha1.ReasonInvalidSpec, []string{`"a.b"`},
		},
		"no duration": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.SLO.Latency = "120" }, v1alpha1.ReasonInvalidSpec, []string{`spec.slo.latency: "120"`},
		},
		"no percentile": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.SLO.Percentile = new(intstr.FromInt32(100)) },
			v1alpha1.ReasonInvalidSpec,
			[]string{`spec.slo.percentile: "100"`},
		},
		"a rule of nobody": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Together = [][]string{{"one", "nobody"}} },
			v1alpha1.ReasonInvalidSpec,
			[]string{`spec.together: "nobody"`},
		},
		"a variable twice": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Env = []v1alpha1.Variable{{Name: "A"}, {Name: "A"}}
			},
			v1alpha1.ReasonInvalidSpec,
			[]string{"A is given twice"},
		},
		"more at least than at most": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Instances = &v1alpha1.Instances{Min: 3, Max: 2}
			},
			v1alpha1.ReasonInvalidSpec,
			[]string{"replicas 3 to 2"},
		},
		"no profile": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Profile.ConfigMap = "other" },
			v1alpha1.ReasonProfileMissing,
			[]string{`ConfigMap "other" in namespace team`},
		},
		"no such key": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.Profile.Key = "other" },
			v1alpha1.ReasonProfileMissing,
			[]string{`no key "other"`, "profile.json"},
		},
		"another's profile": {
			func(_ *v1alpha1.Workflow, m *corev1.ConfigMap) {
				m.Data["profile.json"] = strings.NewReplacer("Two", "Zwei", "two", "zwei").Replace(m.Data["profile.json"])
			},
			v1alpha1.ReasonProfileIncomplete,
			[]string{`lacks function "two"`},
		},
		"half a profile": {
			func(_ *v1alpha1.Workflow, m *corev1.ConfigMap) {
				m.Data["profile.json"] = m.Data["profile.json"][:100]
			},
			v1alpha1.ReasonProfileInvalid,
			[]string{"profile"},
		},
		"half an archive": {
			func(_ *v1alpha1.Workflow, m *corev1.ConfigMap) {
				m.BinaryData = map[string][]byte{"profile.json": packed(t, m.Data["profile.json"])[:50]}
				m.Data = nil
			},
			v1alpha1.ReasonProfileInvalid,
			[]string{"unexpected EOF"},
		},
		"no calibration": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Calibration = &v1alpha1.Source{ConfigMap: "none", Key: "c"}
			},
			v1alpha1.ReasonCalibrationMissing,
			[]string{`ConfigMap "none"`},
		},
		"a calibration that is none": {
			func(w *v1alpha1.Workflow, m *corev1.ConfigMap) {
				m.Data["c"] = "{}"
				w.Spec.Calibration = &v1alpha1.Source{ConfigMap: m.Name, Key: "c"}
			},
			v1alpha1.ReasonCalibrationInvalid,
			[]string{"chiron calibrate"},
		},
		"fewer wraps than images": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Images = []v1alpha1.Image{{Image: "x", Functions: []string{"fetch", "one"}}, {Image: "y", Functions: []string{"two", "three"}}}
				w.Spec.Limits = &v1alpha1.Limits{Wraps: 1}
			},
			v1alpha1.ReasonInfeasible,
			[]string{"limits: wraps"},
		},
		"together in two images": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) {
				w.Spec.Images = []v1alpha1.Image{{Image: "x", Functions: []string{"fetch", "one"}}, {Image: "y", Functions: []string{"two", "three"}}}
				w.Spec.Together = [][]string{{"one", "two"}}
			},
			v1alpha1.ReasonInfeasible,
			[]string{`function "two" needs image y`, `function "one" needs image x`},
		},
		"too fast": {
			func(w *v1alpha1.Workflow, _ *corev1.ConfigMap) { w.Spec.SLO.Latency = "40ms" },
			v1alpha1.ReasonObjectiveUnreachable,
			[]string{"no plan keeps p95 within 40ms", "3 CPUs in 1 wrap, is predicted to be 5", "ms over"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, m := flow(), profileMap(t)
			c.change(w, m)
			_, err := planned(t, w, constants(t), m)
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || refusal.Reason != c.reason || strings.Contains(refusal.Message, "\n") {
				t.Fatalf("error %v (%T), want reason %s in one line", err, err, c.reason)
			}
			for _, want := range c.want {
				if !strings.Contains(refusal.Message, want) {
					t.Errorf("message %q, want %q in it", refusal.Message, want)
				}
			}
		})
	}
	for _, file := range []string{"", filepath.Join(t.TempDir(), "none.json")} {
		if text, err := readCalibration(file); text != nil || err != nil {
			t.Errorf("%q: %q, %v", file, text, err)
		}
	}
	_, err := planned(t, flow(), nil, profileMap(t))
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Reason != v1alpha1.ReasonCalibrationMissing {
		t.Errorf("without a calibration of the controller's: %v", err)
	}
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	_, err := z.Write([]byte(text))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// TestPacked: a profile may be compressed.
func TestPacked(t *testing.T) {
	m := profileMap(t)
	m.BinaryData = map[string][]byte{"profile.json": packed(t, m.Data["profile.json"])}
	m.Data = nil
	if _, err := planned(t, flow(), constants(t), m); err != nil {
		t.Error(err)
	}
}

// TestDigest: what makes another plan is another digest, what does not is the same.
func TestDigest(t *testing.T) {
	digest := func(change func(w *v1alpha1.Workflow, in *inputs)) string {
		t.Helper()
		w := flow()
		in := &inputs{profile: []byte("p"), calibration: []byte("c")}
		change(w, in)
		var err error
		if in.request, err = newRequest(w); err != nil {
			t.Fatal(err)
		}
		d, err := in.digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := digest(func(*v1alpha1.Workflow, *inputs) {})
	for name, change := range map[string]func(w *v1alpha1.Workflow, in *inputs){
		"an image's reference": func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Images[0].Image = "other" },
		"notation": func(w *v1alpha1.Workflow, _ *inputs) {
			w.Spec.Definition.Raw = quoted(t, strings.ReplaceAll(audit, "\n", " "))
		},
		"instances":             func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Instances = &v1alpha1.Instances{Min: 2} },
		"a variable":            func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Env = []v1alpha1.Variable{{Name: "A"}} },
		"the order of its list": func(w *v1alpha1.Workflow, _ *inputs) { slices.Reverse(w.Spec.Images[0].Functions) },
	} {
		if digest(change) != first {
			t.Errorf("another of %s: another digest", name)
		}
	}
	seen := map[string]string{first: "the first"}
	for name, change := range map[string]func(w *v1alpha1.Workflow, in *inputs){
		"SLO":         func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.SLO.Latency = "199ms" },
		"percentile":  func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.SLO.Percentile = new(intstr.FromString("mean")) },
		"limit":       func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Limits = &v1alpha1.Limits{CPUs: 4} },
		"rule":        func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Apart = [][]string{{"one", "two"}} },
		"concurrency": func(w *v1alpha1.Workflow, _ *inputs) { w.Spec.Concurrency = 3 },
		"profile":     func(_ *v1alpha1.Workflow, in *inputs) { in.profile = []byte("q") },
		"calibration": func(_ *v1alpha1.Workflow, in *inputs) { in.calibration = []byte("q") },
		"definition": func(w *v1alpha1.Workflow, _ *inputs) {
			w.Spec.Definition.Raw = []byte(strings.ReplaceAll(audit, `"Fetch"`, `"Get"`))
		},
		"division into images": func(w *v1alpha1.Workflow, _ *inputs) {
			w.Spec.Images = []v1alpha1.Image{{Image: "x", Functions: []string{"fetch", "one"}}, {Image: "y", Functions: []string{"two", "three"}}}
		},
	} {
		d := digest(change)
		if seen[d] != "" {
			t.Errorf("another %s: the digest is that of %s", name, seen[d])
		}
		seen[d] = name
	}
}

// TestPlanner: the same is not planned twice, what an earlier controller has planned
// is taken, and what does not fit is not.
func TestPlanner(t *testing.T) {
	w := flow()
	r, err := newRequest(w)
	if err != nil {
		t.Fatal(err)
	}
	in := &inputs{request: r, profile: []byte(audited(t)), calibration: constants(t)}
	p := newPlanner()
	first, digest, err := p.plan(t.Context(), w.UID, in, nothingKept)
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) (*plan.Plan, error) { t.Error("looked for what is known"); return nil, nil }
	if again, _, err := p.plan(t.Context(), w.UID, in, never); err != nil || again != first {
		t.Errorf("asked again: %v, %v", again, err)
	}
	kept := first.Clone()
	kept.Wraps[0].CPUs = 4 // as another version might have planned
	kept.Objective = nil   // as pods get it
	taken, _, err := newPlanner().plan(t.Context(), w.UID, in, func(d string) (*plan.Plan, error) {
		if d != digest {
			t.Errorf("digest %s, was %s", d, digest)
		}
		return kept, nil
	})
	if err != nil || taken.Digest() != kept.Digest() || taken.Objective == nil || taken.Objective.Predicted <= 0 {
		t.Errorf("what is kept: %v, %v", taken, err)
	}
	broken := first.Clone()
	broken.Wraps[0].Processes = broken.Wraps[0].Processes[:0]
	if anew, _, err := newPlanner().plan(t.Context(), w.UID, in, func(string) (*plan.Plan, error) { return broken, nil }); err != nil || anew.Digest() != first.Digest() {
		t.Errorf("what is broken: %v, %v", anew, err)
	}
	// A refusal is known too, until something changes or the Workflow goes.
	in.request.slo.Latency /= 10
	_, _, err = p.plan(t.Context(), w.UID, in, nothingKept)
	_, _, again := p.plan(t.Context(), w.UID, in, never)
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Reason != v1alpha1.ReasonObjectiveUnreachable || again != err {
		t.Errorf("refused: %v, then %v", err, again)
	}
	p.forget(w.UID)
	if len(p.known) != 0 {
		t.Errorf("known of %v", p.known)
	}
	if _, _, err := p.plan(t.Context(), types.UID("other"), in, nothingKept); err == nil {
		t.Error("another's is known")
	}
}

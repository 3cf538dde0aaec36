package v1alpha1

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// field is as much of a field's OpenAPI schema as is compared with Go's types.
type field struct {
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Properties  map[string]*field `json:"properties"`
	Items       *field            `json:"items"`
	Required    []string          `json:"required"`
	IntOrString bool              `json:"x-kubernetes-int-or-string"`
	Unknown     bool              `json:"x-kubernetes-preserve-unknown-fields"`
}

// definition is as much of a CustomResourceDefinition.
type definition struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Group string `json:"group"`
		Names struct {
			Kind   string `json:"kind"`
			Plural string `json:"plural"`
		} `json:"names"`
		Versions []struct {
			Name    string `json:"name"`
			Columns []struct {
				JSONPath string `json:"jsonPath"`
			} `json:"additionalPrinterColumns"`
			Schema struct {
				OpenAPI *field `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

func readDefinition(t *testing.T) *definition {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "base", "crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d definition
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// TestSchema: the resource's definition has just the fields of the Go types, of the
// same kinds, and asks for those that Go always writes. What the one lacks the API
// server would drop, or the other.
func TestSchema(t *testing.T) {
	d := readDefinition(t)
	if d.Spec.Group != Group || d.Spec.Names.Kind != Kind || d.Spec.Names.Plural != Resource || d.Metadata.Name != Resource+"."+Group {
		t.Errorf("the definition is of %s %s (%s) in group %s", d.Metadata.Name, d.Spec.Names.Kind, d.Spec.Names.Plural, d.Spec.Group)
	}
	if len(d.Spec.Versions) != 1 || d.Spec.Versions[0].Name != Version {
		t.Fatalf("versions %+v, want %s alone", d.Spec.Versions, Version)
	}
	top := d.Spec.Versions[0].Schema.OpenAPI
	compare(t, "spec", top.Properties["spec"], reflect.TypeFor[WorkflowSpec]())
	compare(t, "status", top.Properties["status"], reflect.TypeFor[WorkflowStatus]())
}

func compare(t *testing.T, path string, s *field, typ reflect.Type) {
	t.Helper()
	if s == nil {
		t.Errorf("%s: the definition has no such field", path)
		return
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := field{Type: "object"}
	switch typ {
	case reflect.TypeFor[runtime.RawExtension]():
		want = field{Unknown: true}
	case reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[resource.Quantity]():
		want = field{IntOrString: true}
	case reflect.TypeFor[metav1.Time]():
		want = field{Type: "string", Format: "date-time"}
	default:
		switch typ.Kind() {
		case reflect.String:
			want = field{Type: "string"}
		case reflect.Int32:
			want = field{Type: "integer", Format: "int32"}
		case reflect.Int64:
			want = field{Type: "integer", Format: "int64"}
		case reflect.Slice:
			want = field{Type: "array"}
			compare(t, path+"[]", s.Items, typ.Elem())
		case reflect.Struct:
			compareFields(t, path, s, typ)
		default:
			t.Fatalf("%s: a %v cannot be compared", path, typ)
		}
	}
	if s.Type != want.Type || s.Format != want.Format || s.IntOrString != want.IntOrString || s.Unknown != want.Unknown {
		t.Errorf("%s is a %v in Go: the definition says type %q, format %q, int or string %v, anything %v", path, typ, s.Type, s.Format, s.IntOrString, s.Unknown)
	}
}

func compareFields(t *testing.T, path string, s *field, typ reflect.Type) {
	t.Helper()
	var needed []string
	known := make(map[string]bool)
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
		if options == "" {
			needed = append(needed, name)
		}
		compare(t, path+"."+name, s.Properties[name], f.Type)
	}
	for name := range s.Properties {
		if !known[name] {
			t.Errorf("%s.%s is in the definition, and not in %v", path, name, typ)
		}
	}
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, slices.Sorted(slices.Values(needed))) {
		t.Errorf("%s: the definition requires %q, Go always writes %q", path, got, needed)
	}
}

// TestColumns: what kubectl get prints is there.
func TestColumns(t *testing.T) {
	version := readDefinition(t).Spec.Versions[0]
	chosen := regexp.MustCompile(`\[[^]]*\]`) // of a list, by a member's value
	for _, c := range version.Columns {
		path := strings.TrimPrefix(chosen.ReplaceAllString(c.JSONPath, ".[]"), ".")
		if strings.HasPrefix(path, "metadata.") {
			continue // not ours
		}
		at := version.Schema.OpenAPI
		for part := range strings.SplitSeq(path, ".") {
			if part == "[]" {
				at = at.Items
			} else {
				at = at.Properties[part]
			}
			if at == nil {
				t.Errorf("column %s: there is no %q", c.JSONPath, part)
				break
			}
		}
	}
}

// full has a value in every field.
func full() *Workflow {
	return &Workflow{
		TypeMeta:   metav1.TypeMeta{APIVersion: APIVersion, Kind: Kind},
		ObjectMeta: metav1.ObjectMeta{Name: "finra-5", Namespace: "team", Labels: map[string]string{"a": "b"}},
		Spec: WorkflowSpec{
			Definition:  runtime.RawExtension{Raw: []byte(`{"StartAt":"A","States":{"A":{"End":true,"Resource":"a","ResultPath":null,"Type":"Task"}}}`)},
			Images:      []Image{{Image: "registry.example.org/team/a@sha256:0", Functions: []string{"a"}}},
			SLO:         &SLO{Latency: "120ms", Percentile: new(intstr.FromString("99.9"))},
			Profile:     Source{ConfigMap: "p", Key: "profile.json"},
			Calibration: &Source{ConfigMap: "c", Key: "calibration.json"},
			Apart:       [][]string{{"a", "b"}}, Together: [][]string{{"c", "d"}},
			Limits:      &Limits{CPUs: 8, Memory: new(resource.MustParse("512Mi")), Wraps: 3},
			Concurrency: 16, Instances: &Instances{Min: 1, Max: 10},
			PullSecrets: []string{"s"}, AllowFrom: []string{"ingress"}, Grace: "30s", Env: []Variable{{Name: "A", Value: "1"}},
		},
		Status: WorkflowStatus{
			ObservedGeneration: 3,
			Conditions:         []metav1.Condition{{Type: Ready, Status: metav1.ConditionTrue, Reason: ReasonServing, Message: "m", ObservedGeneration: 3, LastTransitionTime: metav1.Unix(7, 0)}},
			Plan:               &PlanStatus{ID: "i", Revision: "r", CPUs: 2, Wraps: 1, Predicted: "63.4ms", Percentile: new(intstr.FromInt32(99)), Since: new(metav1.Unix(8, 0))},
			Failed:             &FailedStatus{Revision: "f", Message: "why", Attempts: 2, RetryAfter: metav1.NewTime(time.Unix(9, 0))},
			URL:                "http://finra-5.team",
		},
	}
}

// TestFull: full really is, so that what is tested with it is tested of all fields.
func TestFull(t *testing.T) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is empty", path)
		}
		switch v.Kind() {
		case reflect.Pointer:
			walk(path, v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); v.Type().PkgPath() == reflect.TypeFor[Workflow]().PkgPath() {
					walk(path+"."+f.Name, v.Field(i))
				}
			}
		}
	}
	w := full()
	walk("spec", reflect.ValueOf(w.Spec))
	walk("status", reflect.ValueOf(w.Status))
}

// TestRoundTrip: through JSON, through the unstructured form that clients have, and
// through a copy, nothing changes.
func TestRoundTrip(t *testing.T) {
	w := full()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Workflow
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&decoded)
	if err != nil || string(again) != string(text) {
		t.Errorf("through JSON: %s, %v; was %s", again, err, text)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(w)
	if err != nil {
		t.Fatal(err)
	}
	var converted Workflow
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &converted); err != nil {
		t.Fatal(err)
	}
	if again, err = json.Marshal(&converted); err != nil || string(again) != string(text) {
		t.Errorf("through its unstructured form: %s, %v; was %s", again, err, text)
	}
	l := &WorkflowList{Items: []Workflow{*w}}
	copied := l.DeepCopyObject().(*WorkflowList).Items[0].DeepCopyObject()
	if diff := cmp.Diff(w, copied); diff != "" {
		t.Errorf("a copy differs (-want +got):\n%s", diff)
	}
}

// TestCopyShares: a copy shares no memory that could be written to.
func TestCopyShares(t *testing.T) {
	w := full()
	seen := make(map[uintptr]string)
	var walk func(path string, v reflect.Value, note func(at uintptr, path string))
	walk = func(path string, v reflect.Value, note func(at uintptr, path string)) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() {
				note(v.Pointer(), path)
				walk(path, v.Elem(), note)
			}
		case reflect.Slice:
			if v.Len() > 0 {
				note(v.Pointer(), path)
			}
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i), note)
			}
		case reflect.Map:
			if !v.IsNil() {
				note(v.Pointer(), path)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i), note)
			}
		}
	}
	walk("", reflect.ValueOf(*w), func(at uintptr, path string) { seen[at] = path })
	walk("", reflect.ValueOf(*w.DeepCopy()), func(at uintptr, path string) {
		if path, shared := seen[at]; shared {
			t.Errorf("%s is shared", path)
		}
	})
	if len(seen) < 20 {
		t.Errorf("only %d places were compared: %q", len(seen), slices.Sorted(maps.Values(seen)))
	}
	var none *Workflow
	if none.DeepCopy() != nil {
		t.Error("a copy of nothing is something")
	}
}

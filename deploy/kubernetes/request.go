package kubernetes

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/internal/dnslabel"
)

// Request is what a cluster's controller is to plan and run (v1alpha1.Workflow).
type Request struct {
	// Name of the deployment: a DNS label.
	Name string
	// Definition of the workflow, as JSON.
	Definition []byte
	// Images that hold the functions, each function in one of them.
	Images []v1alpha1.Image
	// Latency to keep, and the percentile at which it is meant, 0 for the mean; a
	// Latency of 0 asks for nothing.
	Latency    time.Duration
	Percentile float64
	// Profile and Calibration are the texts of their files. nil Calibration: the
	// controller has one.
	Profile, Calibration []byte
	// Apart, Together, Limits and Concurrency as v1alpha1.WorkflowSpec has them.
	Apart, Together [][]string
	Limits          *v1alpha1.Limits
	Concurrency     int
	// Env is what all functions find in their environment, "NAME=value".
	Env []string
}

// Keys of the ConfigMaps that a Workflow names.
const (
	profileKey     = "profile.json"
	calibrationKey = "calibration.json"
)

// Requested returns the objects that have a controller plan and run a workflow: the
// ConfigMaps with what it plans by, then the Workflow. Of the settings a resource has
// no Memory, Overcommit, Utilization and Linger: those are the controller's.
func Requested(r Request, s Settings) ([]runtime.Object, error) {
	if !dnslabel.Valid(r.Name) {
		return nil, fmt.Errorf("deployment name %q: use a-z, 0-9 and '-', at most 63 characters", r.Name)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	definition, err := resourceDefinition(r.Definition)
	if err != nil {
		return nil, fmt.Errorf("deploy %q: its definition: %w", r.Name, err)
	}
	w := &v1alpha1.Workflow{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind},
		ObjectMeta: r.meta(r.Name, s),
		Spec: v1alpha1.WorkflowSpec{
			Definition: definition, Images: r.Images, SLO: r.slo(), Apart: r.Apart, Together: r.Together, Limits: r.Limits,
			Concurrency: int32(r.Concurrency), // bounded by workflow's own limit
			PullSecrets: s.PullSecrets, AllowFrom: s.From, Env: variables(r.Env),
		},
	}
	if s.Min > 0 || s.Max > 0 {
		w.Spec.Instances = &v1alpha1.Instances{Min: s.Min, Max: s.Max}
	}
	if s.Grace > 0 && s.Grace != DefaultGrace {
		w.Spec.Grace = s.Grace.String()
	}
	var all []runtime.Object
	source := func(what, key string, text []byte) (v1alpha1.Source, error) {
		m, err := r.configMap(r.Name+"-"+what, key, text, s)
		if err != nil {
			return v1alpha1.Source{}, fmt.Errorf("deploy %q: its %s: %w", r.Name, what, err)
		}
		all = append(all, m)
		return v1alpha1.Source{ConfigMap: m.Name, Key: key}, nil
	}
	if w.Spec.Profile, err = source("profile", profileKey, r.Profile); err != nil {
		return nil, err
	}
	if r.Calibration != nil {
		from, err := source("calibration", calibrationKey, r.Calibration)
		if err != nil {
			return nil, err
		}
		w.Spec.Calibration = &from
	}
	return append(all, w), nil
}

func (r *Request) meta(name string, s Settings) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: s.Namespace, Labels: map[string]string{"app.kubernetes.io/name": r.Name}}
}

// maxPlainText is what a ConfigMap shows as it is, bytes; more is compressed. kubectl
// apply keeps an object once more in an annotation, with quotes escaped, and annotations
// have 256 KiB together (apimachinery's TotalAnnotationSizeLimitB).
const maxPlainText = 128 << 10

// configMap holds a file: compressed where it is large.
func (r *Request) configMap(name, key string, text []byte, s Settings) (*corev1.ConfigMap, error) {
	m := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: r.meta(name, s)}
	if len(text) <= maxPlainText {
		m.Data = map[string]string{key: string(text)}
		return m, nil
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(text)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, err
	}
	if packed.Len() > maxConfigMap {
		return nil, fmt.Errorf("it has %d bytes when compressed, and a cluster's ConfigMap holds %d: divide the workflow", packed.Len(), maxConfigMap)
	}
	m.BinaryData = map[string][]byte{key: packed.Bytes()}
	return m, nil
}

func (r *Request) slo() *v1alpha1.SLO {
	if r.Latency == 0 {
		return nil
	}
	return &v1alpha1.SLO{Latency: r.Latency.String(), Percentile: new(v1alpha1.Percentile(r.Percentile))}
}

func variables(env []string) []v1alpha1.Variable {
	var all []v1alpha1.Variable
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		all = append(all, v1alpha1.Variable{Name: name, Value: value})
	}
	return all
}

// resourceDefinition is a definition as a resource holds it: an object, for people to
// read; its text where an object would come back as something else. An object has
// no members that are null, which kubectl and Render drop, and no numbers of more
// digits than Go's own types.
func resourceDefinition(text []byte) (runtime.RawExtension, error) {
	given, err := exact(text)
	if err != nil {
		return runtime.RawExtension{}, err
	}
	object := &v1alpha1.Workflow{Spec: v1alpha1.WorkflowSpec{Definition: runtime.RawExtension{Raw: text}}}
	u, err := plain(object)
	if err != nil {
		return runtime.RawExtension{}, err
	}
	back, err := json.Marshal(u.Object["spec"].(map[string]any)["definition"])
	if err != nil {
		return runtime.RawExtension{}, err
	}
	if kept, err := exact(back); err == nil && reflect.DeepEqual(given, kept) {
		return object.Spec.Definition, nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return runtime.RawExtension{}, err
	}
	indented.WriteByte('\n') // so that YAML writes lines
	quoted, err := json.Marshal(indented.String())
	return runtime.RawExtension{Raw: quoted}, err
}

// exact reads JSON with every digit of its numbers.
func exact(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v map[string]any
	return v, d.Decode(&v)
}

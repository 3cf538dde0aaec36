package kubernetes

import (
	"bytes"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// AnnotationWave has Argo CD make the workflow's Service last, when what it leads to
// is healthy.
const AnnotationWave = "argocd.argoproj.io/sync-wave"

// Render writes objects as YAML, a document each, in their order. The same objects
// are the same bytes.
func Render(w io.Writer, objects []runtime.Object) error {
	var b bytes.Buffer
	for i, o := range objects {
		u, err := plain(o)
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return fmt.Errorf("write %s %q as YAML: %w", u.GetKind(), u.GetName(), err)
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(text)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// plain is an object as it is asked for: without what only a server says.
func plain(o runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("write %T: %w", o, err)
	}
	delete(content, "status")
	dropEmpty(content)
	return &unstructured.Unstructured{Object: content}, nil
}

// dropEmpty removes keys that are null, such as the time of making.
func dropEmpty(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
				continue
			}
			dropEmpty(value)
		}
	case []any:
		for _, value := range v {
			dropEmpty(value)
		}
	}
}

// Waved returns objects with Argo CD's order of making on them: those that the
// workflow's Service leads to before it, and what is no longer asked for goes last.
func (m *Manifests) Waved() ([]runtime.Object, error) {
	var all []runtime.Object
	objects := m.Objects()
	for i, o := range objects {
		u, err := plain(o)
		if err != nil {
			return nil, err
		}
		annotations := u.GetAnnotations()
		if annotations == nil {
			annotations = make(map[string]string)
		}
		wave := "0"
		if i == len(objects)-1 {
			wave = "1"
		}
		annotations[AnnotationWave] = wave
		annotations["argocd.argoproj.io/sync-options"] = "PruneLast=true"
		u.SetAnnotations(annotations)
		all = append(all, u)
	}
	return all, nil
}

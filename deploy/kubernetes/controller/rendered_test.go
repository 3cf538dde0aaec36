package controller

import (
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// TestPlansRendered: what chiron render --workflow prints is what is planned.
func TestPlansRendered(t *testing.T) {
	text, err := os.ReadFile("../../../cmd/chiron/testdata/render/workflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var w v1alpha1.Workflow
	var maps []client.Object
	for _, document := range strings.Split(string(text), "---\n") {
		if strings.Contains(document, "kind: Workflow\n") {
			err = yaml.UnmarshalStrict([]byte(document), &w)
		} else {
			m := &corev1.ConfigMap{}
			err = yaml.UnmarshalStrict([]byte(document), m)
			m.Namespace = "team"
			maps = append(maps, m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Namespace = "team"
	p, err := planned(t, &w, nil, maps...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Wraps {
		if names := p.Wraps[i].TaskNames(); slices.Contains(names, "Fetch") && slices.Contains(names, "One") {
			t.Errorf("what is to be apart is together: %v", names)
		}
	}
}

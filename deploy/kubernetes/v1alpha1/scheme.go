package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names of the resource.
const (
	Group    = "chiron-faas.github.io"
	Version  = "v1alpha1"
	Kind     = "Workflow"
	Resource = "workflows"
	// APIVersion of its objects.
	APIVersion = Group + "/" + Version
)

// GroupVersion of the types.
func GroupVersion() schema.GroupVersion { return schema.GroupVersion{Group: Group, Version: Version} }

// AddToScheme tells a scheme of the types.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &Workflow{}, &WorkflowList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}

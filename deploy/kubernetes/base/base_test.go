package base

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kustomization is as much of one as this base uses.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Resources       []string `json:"resources"`
	Namespace       string   `json:"namespace"`
	Images          []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// objects are the base's, by kind and name.
type objects map[string]any

// kinds are the types of the base's objects. The CustomResourceDefinition is left to
// the tests of deploy/kubernetes/v1alpha1.
func kinds(kind string) any {
	switch kind {
	case "Namespace":
		return &corev1.Namespace{}
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "ClusterRole":
		return &rbacv1.ClusterRole{}
	case "ClusterRoleBinding":
		return &rbacv1.ClusterRoleBinding{}
	case "Role":
		return &rbacv1.Role{}
	case "RoleBinding":
		return &rbacv1.RoleBinding{}
	case "Deployment":
		return &appsv1.Deployment{}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	}
	return nil
}

// read reads the base strictly: a field that the API does not know is an error.
func read(t *testing.T) (objects, *kustomization) {
	t.Helper()
	text, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k := &kustomization{}
	if err := yaml.UnmarshalStrict(text, k); err != nil {
		t.Fatal(err)
	}
	all := make(objects)
	for _, file := range k.Resources {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var head metav1.PartialObjectMetadata
			if err := yaml.Unmarshal(document, &head); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if head.Kind == "CustomResourceDefinition" {
				continue
			}
			o := kinds(head.Kind)
			if o == nil {
				t.Fatalf("%s: this test does not know %s", file, head.Kind)
			}
			if err := yaml.UnmarshalStrict(document, o); err != nil {
				t.Errorf("%s: %s: %v", file, head.Kind, err)
			}
			if namespaced := !strings.HasPrefix(head.Kind, "Cluster") && head.Kind != "Namespace"; head.Namespace != "" && !(namespaced && head.Namespace == k.Namespace) {
				t.Errorf("%s %s is in namespace %q", head.Kind, head.Name, head.Namespace)
			}
			all[head.Kind+" "+head.Name] = o
		}
	}
	return all, k
}

// of is an object of the base.
func of[T any](t *testing.T, all objects, name string) *T {
	t.Helper()
	o, ok := all[name].(*T)
	if !ok {
		t.Fatalf("the base has no %s", name)
	}
	return o
}

// TestComplete: every manifest of the folder is a resource of the base.
func TestComplete(t *testing.T) {
	all, k := read(t)
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return f == "kustomization.yaml" })
	if diff := cmp.Diff(files, slices.Sorted(slices.Values(k.Resources))); diff != "" {
		t.Errorf("files (-) and resources (+): %s", diff)
	}
	if n := of[corev1.Namespace](t, all, "Namespace "+k.Namespace); n.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("labels %v of the namespace", n.Labels)
	}
}

// TestPod: the controller's pod is one that the strictest clusters take, and can do
// nothing that it need not do.
func TestPod(t *testing.T) {
	all, k := read(t)
	d := of[appsv1.Deployment](t, all, "Deployment chiron-controller")
	account := of[corev1.ServiceAccount](t, all, "ServiceAccount chiron-controller")
	p := d.Spec.Template.Spec
	if *d.Spec.Replicas != 1 || len(p.Containers) != 1 || p.ServiceAccountName != account.Name || *account.AutomountServiceAccountToken || p.HostNetwork || p.HostPID || p.HostIPC {
		t.Errorf("replicas %d, pod %+v, account %+v", *d.Spec.Replicas, p, account)
	}
	if diff := cmp.Diff(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels); diff != "" {
		t.Errorf("selector and labels: %s", diff)
	}
	if s := p.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || *s.RunAsGroup == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod's security %+v", s)
	}
	c := p.Containers[0]
	if i := k.Images; len(i) != 1 || i[0].Name != c.Image {
		t.Errorf("image %q, replaced are %+v", c.Image, i)
	}
	s := c.SecurityContext
	if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || s.Capabilities.Add != nil {
		t.Errorf("container's security %+v", s)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("resources %+v", c.Resources)
	}
	ports := make(map[string]int32)
	for _, port := range c.Ports {
		ports[port.Name] = port.ContainerPort
		if flag := fmt.Sprintf("--%s=:%d", port.Name, port.ContainerPort); !slices.Contains(c.Args, flag) {
			t.Errorf("%q lacks %s", c.Args, flag)
		}
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if probe.HTTPGet.Port.StrVal != "health" || ports["health"] == 0 {
			t.Errorf("probe %+v of ports %v", probe.HTTPGet, ports)
		}
	}
	for _, v := range p.Volumes {
		if v.ConfigMap == nil || !*v.ConfigMap.Optional {
			t.Errorf("volume %s: the pod would not start without it", v.Name)
		}
	}
	for _, m := range c.VolumeMounts {
		if !m.ReadOnly || !slices.ContainsFunc(c.Args, func(a string) bool { return strings.Contains(a, "="+m.MountPath+"/") }) {
			t.Errorf("mount %+v, arguments %q", m, c.Args)
		}
	}
	policy := of[networkingv1.NetworkPolicy](t, all, "NetworkPolicy chiron-controller")
	if diff := cmp.Diff(policy.Spec.PodSelector.MatchLabels, d.Spec.Template.Labels); diff != "" {
		t.Errorf("the policy is for other pods: %s", diff)
	}
	if !slices.Equal(policy.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
		t.Errorf("policy of %v", policy.Spec.PolicyTypes)
	}
	for _, in := range policy.Spec.Ingress {
		if len(in.From) != 1 || len(in.From[0].NamespaceSelector.MatchLabels) == 0 || len(in.Ports) != 1 || in.Ports[0].Port.StrVal != "metrics" {
			t.Errorf("the policy lets in %+v", in)
		}
	}
}

// TestRights: no right is for everything, none gives others, none reads what is secret
// or runs something in others' pods; and they are the controller's alone.
func TestRights(t *testing.T) {
	all, k := read(t)
	rules := make(map[string][]rbacv1.PolicyRule)
	for name, o := range all {
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			rules[name] = o.Rules
		case *rbacv1.Role:
			rules[name] = o.Rules
		case *rbacv1.ClusterRoleBinding:
			checkBinding(t, all, k, o.RoleRef, o.Subjects)
		case *rbacv1.RoleBinding:
			checkBinding(t, all, k, o.RoleRef, o.Subjects)
		}
	}
	if len(rules) != 4 {
		t.Errorf("%d roles", len(rules))
	}
	for name, rules := range rules {
		for _, r := range rules {
			if len(r.NonResourceURLs) > 0 || len(r.APIGroups) == 0 || len(r.Resources) == 0 || len(r.Verbs) == 0 {
				t.Errorf("%s: rule %+v", name, r)
			}
			for _, word := range slices.Concat(r.APIGroups, r.Resources, r.Verbs) {
				if strings.Contains(word, "*") || slices.Contains([]string{"escalate", "bind", "impersonate", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token", "nodes", rbacv1.GroupName}, word) {
					t.Errorf("%s: rule %+v", name, r)
				}
			}
		}
	}
}

func checkBinding(t *testing.T, all objects, k *kustomization, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
	t.Helper()
	if all[ref.Kind+" "+ref.Name] == nil || ref.APIGroup != rbacv1.GroupName {
		t.Errorf("a binding of %+v", ref)
	}
	if len(subjects) != 1 || all[subjects[0].Kind+" "+subjects[0].Name] == nil || subjects[0].Kind != "ServiceAccount" || subjects[0].Namespace != k.Namespace {
		t.Errorf("a binding to %+v", subjects)
	}
}

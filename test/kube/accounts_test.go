package kube

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// rights are those that docs/kubernetes.md says are needed.
func rights() []rbacv1.PolicyRule {
	made := []string{"get", "list", "create", "patch", "delete"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "serviceaccounts"}, Verbs: made},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: made},
		{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: made},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: made},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: made},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}},
	}
}

// without takes one right away.
func without(verb, resource string) []rbacv1.PolicyRule {
	var left []rbacv1.PolicyRule
	for _, r := range rights() {
		if !slices.Contains(r.Resources, resource) {
			left = append(left, r)
			continue
		}
		less := *r.DeepCopy()
		less.Resources = []string{resource}
		less.Verbs = slices.DeleteFunc(less.Verbs, func(v string) bool { return v == verb })
		r.Resources = slices.DeleteFunc(slices.Clone(r.Resources), func(name string) bool { return name == resource })
		if len(less.Verbs) > 0 {
			left = append(left, less)
		}
		if len(r.Resources) > 0 {
			left = append(left, r)
		}
	}
	return left
}

// account makes a service account of the namespace that has these rights there, and
// returns who logs in as that.
func (u *user) account(name string, rules []rbacv1.PolicyRule) *user {
	u.t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	var manifests strings.Builder
	for _, o := range []any{
		&rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}, ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: u.namespace}},
		},
		map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
	} {
		if err := json.NewEncoder(&manifests).Encode(o); err != nil {
			u.t.Fatal(err)
		}
		manifests.WriteString("---\n")
	}
	if s := u.tryWith(manifests.String(), "kubectl", "apply", "-f", "-"); s.code != 0 {
		u.t.Fatal(s.errors)
	}
	return u.login(name, api.AuthInfo{Token: strings.TrimSpace(u.kubectl("create", "token", name))})
}

// login is who logs in to the cluster so, by a context of that name.
func (u *user) login(name string, as api.AuthInfo) *user {
	u.t.Helper()
	config, err := clientcmd.LoadFromFile(u.cluster.Kubeconfig())
	if err != nil {
		u.t.Fatal(err)
	}
	cluster := config.Contexts[config.CurrentContext].Cluster
	config.AuthInfos = map[string]*api.AuthInfo{name: &as}
	config.Contexts = map[string]*api.Context{name: {Cluster: cluster, AuthInfo: name}}
	config.CurrentContext = name
	o := *u
	o.kubeconfig = filepath.Join(u.t.TempDir(), name)
	if err := clientcmd.WriteToFile(*config, o.kubeconfig); err != nil {
		u.t.Fatal(err)
	}
	return &o
}

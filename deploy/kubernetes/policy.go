package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// entrance says who may reach wrap 1, of whichever plan: pods of its namespace, and
// of the namespaces that the settings name. A kubelet's probes are its node's, which
// policies leave alone.
func (m *maker) entrance() networkingv1.NetworkPolicy {
	from := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}
	for _, namespace := range m.settings.From {
		from = append(from, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}, // set by the API server
		}})
	}
	return networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: m.meta(objectName(m.workload.Name, "entrance"), nil),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{LabelDeployment: m.workload.Name, LabelRole: Front}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: from, Ports: wrapPort()}},
		},
	}
}

// fence lets only wrap 1 reach the other wraps of its revision.
func (m *maker) fence() *networkingv1.NetworkPolicy {
	choose := func(role string) map[string]string {
		return map[string]string{LabelDeployment: m.workload.Name, LabelRevision: m.revision, LabelRole: role}
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: m.meta(objectName(m.workload.Name, "fence", m.revision), map[string]string{LabelRevision: m.revision, LabelPlan: shortPlan(m.planID)}),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: choose(Peer)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: choose(Front)}}},
				Ports: wrapPort(),
			}},
		},
	}
}

func wrapPort() []networkingv1.NetworkPolicyPort {
	return []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromString(portName))}}
}

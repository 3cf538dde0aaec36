// Package cluster runs a true Kubernetes cluster of one node on this machine:
// kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy and kubelet
// as they are released (tools/kubernetes), CoreDNS (tools/coredns), and Debian's
// etcd, containerd, runc and network plugins.
//
// All of it lives in namespaces of its own (pid, mount, network, uts, ipc) below
// one process, the node: when that ends, the kernel ends every daemon and every
// container, and with them go their mounts, bridges, routes and packet filters.
// Nothing of the machine's own /run, /var/lib or iptables is touched, and nothing
// in the cluster has a way to another machine. What is left for Down to remove is
// one folder and one control group in each hierarchy.
//
// A pair of links leads from the machine to the node, with one route for pods and
// Services: what runs on the machine reaches them by their addresses.
package cluster

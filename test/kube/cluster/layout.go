package cluster

import "path/filepath"

// Addresses of the cluster. One prefix, so that one route leads there.
const (
	prefix      = "10.213.0.0/16"
	hostAddress = "10.213.0.1" // the machine's end of the link
	nodeAddress = "10.213.0.2" // the node's end: API server, kubelet, DNS
	podPrefix   = "10.213.1.0/24"
	servicePfx  = "10.213.2.0/24"
	apiService  = "10.213.2.1" // the first of the Services' addresses is the API server's
	apiPort     = "6443"
)

// Names that others on the machine could have too.
const (
	hostLink = "chiron-kube" // at most 15 characters (IFNAMSIZ)
	nodeLink = "node0"
	group    = "chiron-kube" // in every hierarchy of control groups
)

// NodeName is the one node's.
const NodeName = "chiron-node"

// Registry is where the node pulls images from without TLS: a registry that a test
// serves at this address of the machine's.
const Registry = hostAddress + ":5000"

// pauseImage is what holds a pod's namespaces; no registry has it.
const pauseImage = "chiron.test/pause:1"

// cluster-wide settings that several daemons must agree on.
const (
	domain           = "cluster.local"
	containerdSocket = "/run/containerd/containerd.sock"
)

// layout is where a cluster's files are, below one folder.
type layout struct{ dir string }

func (l layout) state() string             { return filepath.Join(l.dir, "cluster.json") }
func (l layout) kubeconfig() string        { return filepath.Join(l.dir, "kubeconfig") }
func (l layout) logs() string              { return filepath.Join(l.dir, "logs") }
func (l layout) log(daemon string) string  { return filepath.Join(l.logs(), daemon+".log") }
func (l layout) pki(file string) string    { return filepath.Join(l.dir, "pki", file) }
func (l layout) config(file string) string { return filepath.Join(l.dir, "config", file) }

func (l layout) cpus(file string) string { return l.config(filepath.Join("cpus", file)) }
func (l layout) noNodes() string         { return l.config("nodes") }

// registry holds what containerd is to know of Registry.
func (l layout) registry(file string) string {
	return l.config(filepath.Join("registries", Registry, file))
}

// configOf is the daemon's way to the API server.
func (l layout) configOf(daemon string) string { return l.config(daemon + ".kubeconfig") }

// over are the machine's folders that the node has others for: daemons and
// plugins have paths in them that no flag changes.
func (l layout) over() map[string]string {
	return map[string]string{
		"/run":     filepath.Join(l.dir, "run"),
		"/var/lib": filepath.Join(l.dir, "lib"),
		"/var/log": filepath.Join(l.dir, "containers"),
	}
}

// transient are the folders and files that do not outlive the cluster. Its logs
// do, to be read, until the next.
func (l layout) transient() []string {
	all := []string{l.state(), l.kubeconfig(), l.pki(""), l.config("")}
	for _, folder := range l.over() {
		all = append(all, folder)
	}
	return all
}

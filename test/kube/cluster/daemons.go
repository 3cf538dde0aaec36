package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Names of the daemons, and of their programs.
const (
	etcd              = "etcd"
	containerd        = "containerd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	proxy             = "kube-proxy"
	kubelet           = "kubelet"
	dns               = "coredns"
	pauseProgram      = "pause" // in containers
)

// path is where the node looks for programs: Debian's, besides those we build.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// plugins is where Debian puts the network plugins.
const plugins = "/usr/lib/cni"

// volumePlugins is where nobody finds any; the default is in the machine's /usr.
const volumePlugins = "/var/lib/kubelet/volume-plugins"

// daemon is a program that runs on the node.
type daemon struct {
	name string
	args []string
}

// command is how a daemon is started, its output in a file of its own. What we
// built is taken from bin, the rest from the machine.
func (d daemon) command(l layout, bin string, log *os.File) (*exec.Cmd, error) {
	program := filepath.Join(bin, d.name)
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath(d.name); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(program, d.args...)
	cmd.Dir = l.dir
	cmd.Env = []string{"PATH=" + path, "HOME=" + l.dir, "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nil
}

// checkPrograms finds out which are missing before any is started.
func checkPrograms(bin string) error {
	for _, name := range []string{apiserver, controllerManager, scheduler, kubelet, proxy, dns, pauseProgram} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return fmt.Errorf("cluster: %w: build it: make kube", err)
		}
	}
	for _, name := range []string{etcd, containerd, "runc", "ctr", "ip", "iptables", "conntrack", "nsenter", filepath.Join(plugins, "bridge")} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("cluster: %w: install it: scripts/prerequisites kube", err)
		}
	}
	return nil
}

// foundation is what must run before the others have anybody to speak to. All
// listen on the node's loopback or its end of the link, which leads to this
// machine only.
func foundation(l layout) []daemon {
	return []daemon{
		{etcd, []string{
			"--name=node", "--data-dir=/var/lib/etcd",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=node=http://127.0.0.1:2380",
			"--unsafe-no-fsync", // what it holds ends with the cluster
		}},
		{containerd, []string{"--config", l.config("containerd.toml")}},
		{apiserver, []string{
			"--etcd-servers=http://127.0.0.1:2379",
			"--bind-address=" + nodeAddress, "--advertise-address=" + nodeAddress, "--secure-port=" + apiPort,
			"--service-cluster-ip-range=" + servicePfx,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--client-ca-file=" + l.pki(certCA+".crt"),
			"--tls-cert-file=" + l.pki(certServer+".crt"), "--tls-private-key-file=" + l.pki(certServer+".key"),
			"--kubelet-certificate-authority=" + l.pki(certCA+".crt"),
			"--kubelet-client-certificate=" + l.pki(certClient+".crt"), "--kubelet-client-key=" + l.pki(certClient+".key"),
			"--service-account-issuer=https://kubernetes.default.svc." + domain,
			"--service-account-key-file=" + l.pki(certSigner+".crt"), "--service-account-signing-key-file=" + l.pki(certSigner+".key"),
			"--kubelet-preferred-address-types=InternalIP", // nobody resolves the node's name
			"--profiling=false",
		}},
	}
}

// rest is what speaks to the API server from its start.
func rest(l layout) []daemon {
	return []daemon{
		{controllerManager, []string{
			"--kubeconfig=" + l.configOf(controllerManager), "--bind-address=127.0.0.1", "--leader-elect=false",
			"--root-ca-file=" + l.pki(certCA+".crt"),
			"--service-account-private-key-file=" + l.pki(certSigner+".key"), "--use-service-account-credentials",
			"--flex-volume-plugin-dir=" + volumePlugins,
			"--profiling=false",
		}},
		{scheduler, []string{
			"--kubeconfig=" + l.configOf(scheduler), "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		}},
		{kubelet, []string{
			"--config=" + l.config("kubelet.json"), "--kubeconfig=" + l.configOf(kubelet),
			"--hostname-override=" + NodeName, "--node-ip=" + nodeAddress,
		}},
		{proxy, []string{
			"--kubeconfig=" + l.configOf(proxy), "--hostname-override=" + NodeName, "--proxy-mode=iptables",
			"--cluster-cidr=" + podPrefix, "--healthz-bind-address=127.0.0.1", "--metrics-bind-address=127.0.0.1",
			// These settings are the machine's, in whatever namespace they are written.
			"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		}},
		{dns, []string{"-conf", l.config("Corefile"), "-quiet"}},
	}
}

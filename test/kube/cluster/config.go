package cluster

import (
	"encoding/json"
	"fmt"
)

// apiServer is where the API server listens.
const apiServer = "https://" + nodeAddress + ":" + apiPort

// writeConfig writes the files that the daemons take their settings from.
func writeConfig(l layout) error {
	kubeletJSON, err := json.MarshalIndent(kubeletConfig(l), "", "  ")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	networkJSON, err := json.MarshalIndent(networkConfig(), "", "  ")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return writeSecrets(map[string][]byte{
		l.config("kubelet.json"):            kubeletJSON,
		l.config("network/bridge.conflist"): networkJSON,
		l.config("containerd.toml"):         []byte(containerdConfig(l)),
		l.config("Corefile"):                []byte(dnsConfig(l)),
		l.registry("hosts.toml"):            []byte(fmt.Sprintf("server = %[1]q\n[host.%[1]q]\ncapabilities = [\"pull\", \"resolve\"]\n", "http://"+Registry)),
	})
}

func kubeletConfig(l layout) map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": nodeAddress, "healthzBindAddress": "127.0.0.1",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"x509":      map[string]any{"clientCAFile": l.pki(certCA + ".crt")},
		},
		"authorization": map[string]any{"mode": "Webhook"},
		"tlsCertFile":   l.pki(certKubelet + ".crt"), "tlsPrivateKeyFile": l.pki(certKubelet + ".key"),
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"cgroupDriver":             "cgroupfs", "cgroupRoot": "/" + group, "failCgroupV1": false,
		"clusterDomain": domain, "clusterDNS": []string{nodeAddress},
		"resolvConf": "", // no names but the cluster's
		// Negative ones take CAP_SYS_RESOURCE, which root in a sandbox may lack.
		"oomScoreAdj": 0,
		// The node is not alone on the machine: what others use must not make it
		// evict pods and images.
		"failSwapOn": false,
		"evictionHard": map[string]string{
			"memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%",
		},
		"imageGCHighThresholdPercent": 100, // never
		"volumePluginDir":             volumePlugins,
	}
}

// networkConfig is a bridge for all pods of the node.
func networkConfig() map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0", "name": "pods",
		"plugins": []any{map[string]any{
			"type": "bridge", "bridge": "pods0", "isGateway": true,
			"hairpinMode": true, // a pod may reach itself by its Service
			"ipam": map[string]any{
				"type":   "host-local",
				"ranges": []any{[]any{map[string]any{"subnet": podPrefix}}},
				"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

// containerdConfig: restrict_oom_score_adj keeps containers from scores that this
// process may not give (see oomScoreAdj).
func containerdConfig(l layout) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = %q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = %q

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
`, containerdSocket, pauseImage, l.config("registries"), plugins, l.config("network"))
}

func dnsConfig(l layout) string {
	return fmt.Sprintf(`.:53 {
	bind %s
	errors
	cache 5
	kubernetes %s in-addr.arpa {
		kubeconfig %s
	}
}
`, nodeAddress, domain, l.configOf(dns))
}

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Where the kernel says which CPUs there are (Documentation/ABI/testing/
// sysfs-devices-system-cpu), and which memory is near them.
const (
	cpusFolder  = "/sys/devices/system/cpu"
	nodesFolder = "/sys/devices/system/node"
)

// promiseCPUs writes what kubelet is to find of CPUs where it is to promise pods
// more of them than the machine has: two plans beside each other, as while one is
// replaced, ask for more than a small machine's. What it promises is shares and
// quotas of time; containers see, and run on, the CPUs that there are.
//
// kubelet counts the folders of CPUs, online or not, where memory has no nodes
// (cadvisor, utils/sysinfo, getCPUTopology), and gives containers those that are
// online.
func promiseCPUs(l layout, n int) error {
	if n <= 0 || n == runtime.NumCPU() {
		return nil
	}
	if n < runtime.NumCPU() {
		return fmt.Errorf("cluster: %d CPUs to promise are fewer than the machine's %d: ask for more, or for 0", n, runtime.NumCPU())
	}
	online, err := os.ReadFile(filepath.Join(cpusFolder, "online"))
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	files := map[string]string{l.cpus("online"): string(online)}
	for i := range n {
		dir := l.cpus(filepath.Join(fmt.Sprintf("cpu%d", i), "topology"))
		files[filepath.Join(dir, "core_id")] = fmt.Sprintln(i)
		files[filepath.Join(dir, "physical_package_id")] = "0\n"
	}
	for file, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	if err := os.Mkdir(l.noNodes(), 0o755); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// promised are the mounts over the kernel's answers, where promiseCPUs wrote any.
func promised(l layout) map[string]string {
	if _, err := os.Stat(l.cpus("online")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return map[string]string{cpusFolder: l.cpus(""), nodesFolder: l.noNodes()}
}

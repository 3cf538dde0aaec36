package container

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// SecretsDir is where OpenFaaS' functions find their secrets.
const SecretsDir = "/var/openfaas/secrets"

const (
	// DefaultProcesses is the most processes and threads of a container.
	DefaultProcesses = 1024
	// DefaultScratch is what a container may write where its memory has no limit,
	// bytes.
	DefaultScratch = 512 << 20
	// maxOpenFiles of each of its processes.
	maxOpenFiles = 65536
	// sharedMemory is the size of its /dev/shm, bytes.
	sharedMemory = 64 << 20
)

// cpuPeriod of a CPU limit, microseconds: the kernel's default.
const cpuPeriod = 100_000

// commandOf is what an image runs.
func commandOf(i *Image, args []string) ([]string, error) {
	command := slices.Concat(i.config.Entrypoint, i.config.Cmd, args)
	if len(i.config.Entrypoint)+len(i.config.Cmd) == 0 {
		return nil, fmt.Errorf("it says neither an entrypoint nor a command")
	}
	return command, nil
}

// isOurs says that chiron built the image: its log has our form, and what it says
// when it is asked whether it is ready is known.
func (i *Image) isOurs() bool { return i.config.Labels[oci.LabelBundle] != "" }

// environment is the image's, with what the deployment says instead.
func environment(i *Image, home string, more []string) []string {
	values := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home}
	for _, v := range slices.Concat(i.config.Env, more) {
		if name, value, ok := strings.Cut(v, "="); ok {
			values[name] = value
		}
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// specOf is the configuration that runc is given (OCI runtime specification).
func (c *container) specOf(u user) (*specs.Spec, error) {
	f := c.function
	var args []string
	env := f.options.Env
	if f.options.Image.isOurs() { // its agent gives functions what it is told to
		for _, v := range env {
			if name, _, _ := strings.Cut(v, "="); name != openfaas.PeersVariable {
				args = append(args, "--pass-env", name)
			}
		}
	}
	if c.network == nil { // the machine's: what the watchdogs of OpenFaaS read, and what our images take
		env = append(slices.Clone(env), fmt.Sprintf("port=%d", c.port), fmt.Sprintf("PORT=%d", c.port))
		if f.options.Image.isOurs() {
			args = append(args, "--listen", loopback(c.port))
		}
	}
	command, err := commandOf(f.options.Image, args)
	if err != nil {
		return nil, err
	}
	files, err := c.hostFiles()
	if err != nil {
		return nil, err
	}
	cwd := f.options.Image.config.WorkingDir
	if !filepath.IsAbs(cwd) {
		cwd = "/" + cwd
	}
	s := &specs.Spec{
		Version:  "1.0.2", // what runc of 2022 takes too; nothing newer is asked of it
		Hostname: f.options.Name,
		Root:     &specs.Root{Path: c.files.root(), Readonly: f.options.ReadOnly},
		Process: &specs.Process{
			Args: command, Cwd: filepath.Clean(cwd), Env: environment(f.options.Image, u.home, env),
			User:            specs.User{UID: u.uid, GID: u.gid, AdditionalGids: u.groups},
			Capabilities:    &specs.LinuxCapabilities{},
			NoNewPrivileges: true,
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_NOFILE", Soft: f.engine.openFiles, Hard: f.engine.openFiles},
				{Type: "RLIMIT_CORE"},
			},
		},
		Mounts: slices.Concat(mounts(), files),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			CgroupsPath:   c.id, // beside this process' group, or below it
			Resources:     c.resources(),
			MaskedPaths:   maskedPaths(),
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if c.network != nil {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: c.network.Path()})
	}
	if f.options.ReadOnly { // as OpenFaaS has it: one folder to write to
		s.Mounts = append(s.Mounts, specs.Mount{
			Destination: "/tmp", Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "nodev", "mode=1777", fmt.Sprintf("size=%d", f.scratch())},
		})
	}
	if f.options.Secrets != "" {
		s.Mounts = append(s.Mounts, bound(f.options.Secrets, SecretsDir))
	}
	if f.engine.seccomp {
		s.Linux.Seccomp = refusedCalls()
	}
	return s, nil
}

// resources are the limits that control groups of this machine can keep.
func (c *container) resources() *specs.LinuxResources {
	f := c.function
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	if f.engine.keeps("pids") {
		limit := int64(DefaultProcesses)
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	if memory := f.options.Memory; memory > 0 && f.engine.keeps("memory") {
		// With swap of the same amount, which is both together: none.
		r.Memory = &specs.LinuxMemory{Limit: &memory}
		if f.engine.swap {
			r.Memory.Swap = &memory
		}
	}
	if f.options.CPUs > 0 && f.engine.keeps("cpu") {
		quota, period := int64(f.options.CPUs*cpuPeriod), uint64(cpuPeriod)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	return r
}

// mounts are those of every container.
func mounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", sharedMemory)}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
}

// maskedPaths are files of the kernel that tell of the machine, or change it.
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
		"/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
}

func bound(from, to string) specs.Mount {
	return specs.Mount{Destination: to, Type: "bind", Source: from, Options: []string{"bind", "ro", "nosuid", "nodev", "noexec", "rprivate"}}
}

// hostFiles writes the files by which a container knows names.
func (c *container) hostFiles() ([]specs.Mount, error) {
	if c.network == nil {
		return []specs.Mount{bound("/etc/hosts", "/etc/hosts"), bound("/etc/resolv.conf", "/etc/resolv.conf")}, nil
	}
	var all []specs.Mount
	for name, text := range map[string]string{
		"hosts":       fmt.Sprintf("127.0.0.1 localhost %s %s %s.openfaas\n", c.function.options.Name, openfaas.GatewayHost, openfaas.GatewayHost),
		"resolv.conf": "", // there is nobody to ask
	} {
		file := filepath.Join(c.dir, name)
		if err := os.WriteFile(file, []byte(text), 0o444); err != nil {
			return nil, err
		}
		all = append(all, bound(file, "/etc/"+name))
	}
	slices.SortFunc(all, func(a, b specs.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return all, nil
}

// refusedCalls are system calls that no function needs and that have been ways out
// of containers: those that change the kernel, its keys or namespaces, and those
// that look into other processes or into the kernel. Without capabilities most are
// refused anyway; a user namespace would bring some back.
func refusedCalls() *specs.LinuxSeccomp {
	refused := uint(1)         // EPERM
	notThere := uint(38)       // ENOSYS: libraries then use clone, whose flags can be seen
	const newUser = 0x10000000 // CLONE_NEWUSER; the other namespaces ask for a capability
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: architectures(),
		Syscalls: []specs.LinuxSyscall{
			{
				Names: []string{
					"acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen",
					"fspick", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
					"lookup_dcookie", "mount", "mount_setattr", "move_mount", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree",
					"perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "quotactl_fd", "reboot",
					"request_key", "setns", "settimeofday", "swapoff", "swapon", "syslog", "umount", "umount2", "unshare", "userfaultfd", "vhangup",
				},
				Action: specs.ActErrno, ErrnoRet: &refused,
			},
			{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: &notThere},
			{
				Names: []string{"clone"}, Action: specs.ActErrno, ErrnoRet: &refused,
				Args: []specs.LinuxSeccompArg{{Index: 0, Value: newUser, ValueTwo: newUser, Op: specs.OpMaskedEqual}},
			},
		},
	}
}

func architectures() []specs.Arch {
	switch runtime.GOARCH {
	case "amd64":
		return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	case "arm64":
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return nil // the machine's own
}

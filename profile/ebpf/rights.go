package ebpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// supported says whether the programs can be meant for this machine at all.
func supported() error {
	if !slices.Contains([]string{"amd64", "arm64"}, runtime.GOARCH) {
		return fmt.Errorf("its programs know where amd64 and arm64 keep what they need, not %s", runtime.GOARCH)
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return errors.New("the kernel does not describe its types (/sys/kernel/btf/vmlinux is missing): it needs CONFIG_DEBUG_INFO_BTF, which kernels of distributions from 2021 on have")
	}
	return nil
}

// explain says of a refusal by the kernel what is missing, in one line.
func explain(err error) error {
	var refused error = unix.EPERM
	if errors.Is(err, unix.EACCES) {
		refused = unix.EACCES
	}
	var rejected *ebpf.VerifierError // which comes with EACCES or EINVAL
	if errors.As(err, &rejected) || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("the kernel does not take its programs, which need Linux 5.15 or newer: %w", oneLine{err})
	}
	if text, readErr := os.ReadFile("/sys/kernel/security/lockdown"); readErr == nil && strings.Contains(string(text), "[confidentiality]") {
		return fmt.Errorf("the kernel is locked down (/sys/kernel/security/lockdown says confidentiality), which keeps programs from reading its memory: %w", refused)
	}
	if lacking := lackingRights(); len(lacking) > 0 {
		return fmt.Errorf("this process may not load programs into the kernel: run as root, or give it %s: %w", strings.Join(lacking, " and "), refused)
	}
	return fmt.Errorf("the kernel refuses, though this process has the rights: a security module or a container's seccomp profile forbids bpf(2) or perf_event_open(2): %w", refused)
}

// lackingRights are the capabilities that loading needs (capabilities(7)) and
// that this process has not got. CAP_SYS_ADMIN stands for both.
func lackingRights() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return []string{"CAP_BPF", "CAP_PERFMON"}
	}
	has := func(right uint) bool { return data[right/32].Effective&(1<<(right%32)) != 0 }
	if has(unix.CAP_SYS_ADMIN) {
		return nil
	}
	var lacking []string
	if !has(unix.CAP_BPF) {
		lacking = append(lacking, "CAP_BPF")
	}
	if !has(unix.CAP_PERFMON) {
		lacking = append(lacking, "CAP_PERFMON")
	}
	return lacking
}

// oneLine cuts what a program's verifier says after its first line.
type oneLine struct{ err error }

func (o oneLine) Error() string {
	line, _, _ := strings.Cut(o.err.Error(), "\n")
	return line
}

func (o oneLine) Unwrap() error { return o.err }

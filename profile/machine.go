package profile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// ThisMachine describes the machine that the program runs on. What it cannot
// find out stays empty.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		m.CPUModel = cpuModel(f)
		_ = f.Close() // opened for reading: nothing can be lost
	}
	return m
}

// cpuModel finds the processor's name in the text of /proc/cpuinfo: the "model
// name" of x86, or on ARM, which has none, implementer and part.
func cpuModel(r io.Reader) string {
	fields := map[string]string{}
	scanner := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for scanner.Scan() {
		key, value, ok := strings.Cut(scanner.Text(), ":")
		key, value = strings.TrimSpace(key), strings.Join(strings.Fields(value), " ")
		if ok && fields[key] == "" {
			fields[key] = value
		}
	}
	for _, key := range []string{"model name", "Model", "cpu model", "cpu"} {
		if fields[key] != "" {
			return fields[key]
		}
	}
	if fields["CPU part"] != "" {
		return fmt.Sprintf("ARM implementer %s part %s", fields["CPU implementer"], fields["CPU part"])
	}
	return ""
}

// Difference says in which way figures measured on m do not hold on other:
// "another CPU (A, not B)"; empty where they do. The kernel's version is no
// difference.
func (m Machine) Difference(other Machine) string {
	switch {
	case m.Arch != other.Arch || m.OS != other.OS:
		return fmt.Sprintf("another kind of machine (%s/%s, not %s/%s)", m.OS, m.Arch, other.OS, other.Arch)
	case m.CPUModel != other.CPUModel:
		return fmt.Sprintf("another CPU (%s, not %s)", orUnknown(m.CPUModel), orUnknown(other.CPUModel))
	case m.CPUs != other.CPUs:
		return fmt.Sprintf("another number of CPUs (%d, not %d)", m.CPUs, other.CPUs)
	}
	return ""
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

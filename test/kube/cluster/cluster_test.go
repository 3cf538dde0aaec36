package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// built has the programs that make kube builds.
const built = "../../../.cache/kube/bin"

// machine is what a cluster could leave behind on the machine.
func machine(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		found["link "+l.Name] = true
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		found["mount "+strings.Fields(line)[1]] = true
	}
	rules, err := exec.Command("iptables-save").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if strings.HasPrefix(line, "-A") {
			found["rule "+strings.TrimSpace(line)] = true
		}
	}
	routes, err := exec.Command("ip", "route").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(routes)) {
		found["route "+strings.TrimSpace(line)] = true
	}
	// Where daemons and plugins have paths that no flag changes.
	for _, folder := range []string{"/run", "/run/containerd", "/run/netns", "/var/lib", "/var/log", "/etc", "/etc/cni", "/opt", "/usr/libexec"} {
		names, err := filepath.Glob(folder + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			found["file "+name] = true
		}
	}
	for _, name := range []string{group, "kubepods", "k8s.io"} { // others have groups that come and go
		groups, err := filepath.Glob(filepath.Join(groupsRoot, "*", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			found["group "+g] = true
		}
	}
	programs, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{"etcd", "containerd", "containerd-shim", "kube-apiserver", "kube-controller", "kube-controller-", "kube-scheduler", "kube-proxy", "kubelet", "coredns", "clusterctl", "pause"}
	for _, p := range programs {
		comm, err := os.ReadFile(p)
		pid := filepath.Base(filepath.Dir(p))
		if err != nil || !slices.Contains(ours, strings.TrimSpace(string(comm))) {
			continue // it may have ended
		}
		// One that has ended is its parent's to reap: the machine's first process'.
		if n, err := strconv.Atoi(pid); err == nil && processOf(n).alive() {
			found["process "+strings.TrimSpace(string(comm))+" "+pid] = true
		}
	}
	return found
}

// TestNothingStays brings a true cluster up and down: with its end, in order or not,
// everything of it goes but its logs.
func TestNothingStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can bring a cluster up")
	}
	ctl := filepath.Join(built, "clusterctl")
	if err := checkPrograms(built); err != nil {
		if os.Getenv("CHIRON_TEST_KUBE") != "" {
			t.Fatal(err)
		}
		t.Skip("the cluster's programs are not built: make kube")
	}
	if _, err := net.InterfaceByName(hostLink); err == nil {
		t.Skip("another cluster runs on this machine")
	}
	for name, end := range map[string]func(c *Cluster) error{
		"down":   func(*Cluster) error { return nil },
		"killed": func(c *Cluster) error { return c.Node.end() },
	} {
		t.Run(name, func(t *testing.T) {
			before := machine(t)
			dir := t.TempDir()
			clusterctl := func(verb string) {
				t.Helper()
				if text, err := exec.Command(ctl, verb, "-dir", dir, "-bin", built).CombinedOutput(); err != nil {
					t.Fatalf("clusterctl %s: %v\n%s", verb, err, text)
				}
			}
			t.Cleanup(func() { clusterctl("down") })
			clusterctl("up")
			c, err := Attach(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := Down(t.TempDir()); !errors.Is(err, ErrDown) { // of another folder
				t.Errorf("it says %v", err)
			}
			if err := c.Healthy(t.Context()); err != nil {
				t.Error(err)
			}
			if err := end(c); err != nil {
				t.Error(err)
			}
			clusterctl("down")
			after := machine(t)
			for _, what := range slices.Sorted(maps.Keys(after)) {
				if !before[what] && !strings.HasPrefix(what, "file /run/user") {
					t.Errorf("left behind: %s", what)
				}
			}
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 1 || left[0].Name() != "logs" {
				t.Errorf("left in its folder: %v", left)
			}
		})
	}
}

func TestUpRefuses(t *testing.T) {
	if os.Geteuid() != 0 {
		_, err := Up(t.Context(), Options{Dir: t.TempDir(), Bin: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "run it as root") {
			t.Errorf("it says %v", err)
		}
		return
	}
	for want, o := range map[string]Options{
		"make kube":               {Dir: t.TempDir(), Bin: t.TempDir()},
		"name a folder elsewhere": {Dir: "/var/lib/cluster", Bin: built},
	} {
		if _, err := net.InterfaceByName(hostLink); err == nil {
			t.Skip("another cluster runs on this machine")
		}
		if _, err := Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, and nothing of %q", err, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	l := layout{t.TempDir()}
	for _, folder := range []string{l.pki(""), l.config("")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePKI(l); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(l.dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatal(files, err)
	}
	// What is written can be read, and its certificates fit their keys.
	for _, file := range []string{l.kubeconfig(), l.configOf(kubelet), l.configOf(dns)} {
		if _, err := newClient(file); err != nil {
			t.Error(err)
		}
	}
}

func TestTakesPods(t *testing.T) {
	for _, c := range []struct{ node, want string }{
		{`{"status":{"conditions":[{"type":"DiskPressure","status":"False"},{"type":"Ready","status":"True"}]}}`, ""},
		{`{"status":{"conditions":[{"type":"Ready","status":"False","message":"no network"}]}}`, "no network"},
		{`{"spec":{"taints":[{"key":"not-ready","effect":"NoSchedule"}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, "not-ready"},
		{`{}`, "has not said"},
		{`<html>`, "invalid character"},
	} {
		switch err := takesPods([]byte(c.node)); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.node, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: it says %v, and nothing of %q", c.node, err, c.want)
		}
	}
}

func TestUntil(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	asked := 0
	if err := until(ctx, "it is so", func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	never := errors.New("never")
	if err := until(ctx, "it is so", func(context.Context) error { return never }); !errors.Is(err, never) {
		t.Errorf("it says %v", err)
	}
}

func TestPromiseCPUs(t *testing.T) {
	l := layout{t.TempDir()}
	have := runtime.NumCPU()
	for _, n := range []int{0, have} {
		if err := promiseCPUs(l, n); err != nil || promised(l) != nil {
			t.Errorf("%d CPUs of %d: %v, %v", n, have, promised(l), err)
		}
	}
	if have > 1 {
		if err := promiseCPUs(l, 1); err == nil {
			t.Errorf("1 CPU of %d is promised", have)
		}
	}
	if err := os.MkdirAll(l.config(""), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := promiseCPUs(l, have+3); err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob(l.cpus("cpu[0-9]*"))
	if err != nil || len(folders) != have+3 {
		t.Errorf("%v, %v", folders, err)
	}
	if got := fmt.Sprint(len(promised(l))); got != "2" {
		t.Errorf("%s mounts", got)
	}
}

func TestProcess(t *testing.T) {
	if err := (Process{}).end(); err != nil {
		t.Errorf("no process: %v", err)
	}
	self := processOf(os.Getpid())
	if !self.alive() {
		t.Error("this process does not run")
	}
	// A number that another process has now.
	if (Process{PID: self.PID, Started: self.Started + 1}).alive() {
		t.Error("a stranger is taken for the node")
	}
}

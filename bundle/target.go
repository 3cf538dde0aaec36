package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Target is a CPython that a wrap is built for and that does not run here: an
// image's. Its packages are wheels, since nothing can be compiled for it.
type Target struct {
	// Version of CPython, complete where it is known: "3.11.9", "3.11".
	Version string
	// Platforms are the tags of the wheels that run there, the best first (PEP
	// 425, 600 and 656): "manylinux_2_36_x86_64", …. Wheels of pure Python need
	// none.
	Platforms []string
	// Machine is platform.machine() there: "x86_64".
	Machine string
	// Name tells the platform to people: "linux/amd64 (glibc 2.36)".
	Name string
}

// String is the target as messages name it.
func (t *Target) String() string { return "CPython " + t.minor() + " on " + t.Name }

func (t *Target) check() error {
	for part := range strings.SplitSeq(t.Version, ".") {
		if n, err := strconv.Atoi(part); err != nil || n < 0 {
			return fmt.Errorf("target's version %q: write for example 3.11", t.Version)
		}
	}
	if strings.Count(t.Version, ".") < 1 || len(t.Platforms) == 0 || t.Machine == "" || t.Name == "" {
		return errors.New("a target needs Version, Platforms, Machine and Name")
	}
	return nil
}

// minor is the version's first two numbers, which packages depend on.
func (t *Target) minor() string {
	parts := strings.SplitN(t.Version, ".", 3)
	return parts[0] + "." + parts[1]
}

// id is everything that decides which packages fit.
func (t *Target) id() string {
	return "target|" + t.Version + "|" + t.Machine + "|" + strings.Join(t.Platforms, ",")
}

// pipOptions are those with which pip chooses packages of the target. It adds
// abi3 and none to the ABI by itself, and older versions' for abi3.
func (t *Target) pipOptions() []string {
	options := []string{
		"--only-binary=:all:", "--implementation", "cp", "--python-version", t.Version,
		"--abi", "cp" + strings.ReplaceAll(t.minor(), ".", ""),
	}
	for _, p := range t.Platforms {
		options = append(options, "--platform", p)
	}
	return options
}

// markers is the target's environment of PEP 508, as JSON.
func (t *Target) markers() (string, error) {
	full := t.Version
	if strings.Count(full, ".") == 1 {
		full += ".0"
	}
	data, err := json.Marshal(map[string]string{
		"implementation_name": "cpython", "platform_python_implementation": "CPython",
		"implementation_version": full, "python_full_version": full, "python_version": t.minor(),
		"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux",
		"platform_machine": t.Machine, "platform_release": "", "platform_version": "",
	})
	if err != nil {
		return "", fmt.Errorf("target's markers: %w", err)
	}
	return string(data), nil
}

// pipForTarget runs pip with the environment markers of its first argument. By
// itself pip chooses files for --python-version and --platform, but asks the
// interpreter that it runs in whether "python_version < '3.11'" holds, and so
// leaves out, or adds, what the target needs. It exits with 3 where this pip
// keeps its markers elsewhere.
const pipForTarget = `import json, sys
try:
    from pip._vendor.packaging import markers
    from pip._internal.cli.main import main
    own = markers.default_environment
except (ImportError, AttributeError) as error:
    if getattr(error, "name", "") == "pip":
        raise
    print("ERROR: this pip cannot install for another interpreter (%s): install a newer one" % error, file=sys.stderr)
    sys.exit(3)
target = json.loads(sys.argv[1])
markers.default_environment = lambda: {**own(), **target}
sys.exit(main(sys.argv[2:]))
`

// unsatisfied is how pip names a requirement that no file fits.
var unsatisfied = regexp.MustCompile(`Could not find a version that satisfies the requirement ([^\n(]+?) \(from`)

// missing finds out whether pip failed for want of a wheel.
func (e *RequirementsError) missing(t *Target, out output) {
	e.Target = t.String()
	if found := unsatisfied.FindStringSubmatch(out.stderr + "\n" + out.stdout); found != nil {
		e.Wheel, e.Clash = found[1], false
	}
}

// fits looks at what was installed: what pip built here, from a folder that a
// requirement names, may be this machine's only.
func (t *Target) fits(site string) error {
	files, err := filepath.Glob(filepath.Join(site, "*.dist-info", "WHEEL"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var tags []string
		for line := range strings.Lines(string(data)) {
			if tag, ok := strings.CutPrefix(strings.TrimSpace(line), "Tag: "); ok {
				tags = append(tags, tag)
			}
		}
		if len(tags) > 0 && !slices.ContainsFunc(tags, t.accepts) {
			name := strings.TrimSuffix(filepath.Base(filepath.Dir(file)), ".dist-info")
			return fmt.Errorf("package %s was built for %s, not for %s: publish a wheel of it, or build on such a machine",
				name, strings.Join(tags, ", "), t)
		}
	}
	return nil
}

// accepts says whether a wheel's tag ("cp311-abi3-manylinux_2_17_x86_64") is one
// of the target's, by its platform, and by its version where it has an ABI.
func (t *Target) accepts(tag string) bool {
	parts := strings.SplitN(tag, "-", 3)
	if len(parts) != 3 {
		return true // none that we know of
	}
	version, abi, platform := parts[0], parts[1], parts[2]
	if platform != "any" && !slices.Contains(t.Platforms, platform) {
		return false
	}
	return abi == "none" || abi == "abi3" || version == "cp"+strings.ReplaceAll(t.minor(), ".", "")
}

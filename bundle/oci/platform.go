package oci

import (
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// machines are Python's names of Go's architectures (platform.machine()).
var machines = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l",
	"ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
}

// parsePlatform reads "linux/arm64" or "linux/arm/v7".
func parsePlatform(s string) (v1.Platform, error) {
	p, err := v1.ParsePlatform(s)
	if err != nil || p.OS != "linux" || p.Architecture == "" || p.OSVersion != "" {
		return v1.Platform{}, fmt.Errorf("platform %q: write for example linux/amd64 or linux/arm64", s)
	}
	return plain(*p), nil
}

// plain is a platform by what tells it from others: arm64 has one variant, which
// some bases name.
func plain(p v1.Platform) v1.Platform {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// library is the C library that a base has, which decides what wheels run there.
type library struct {
	Musl bool `json:"musl,omitempty"`
	// Major and Minor version: glibc 2.36, musl 1.2.
	Major int `json:"major"`
	Minor int `json:"minor"`
}

func (l library) String() string {
	name := "glibc"
	if l.Musl {
		name = "musl"
	}
	return name + " " + strconv.Itoa(l.Major) + "." + strconv.Itoa(l.Minor)
}

// tags are the platform tags of the wheels that run with a C library on a
// machine, the best first. A wheel for an older version runs with a newer one
// (PEP 600, PEP 656); the three named ones are older names of versions (PEP 513,
// 571 and 599).
func (l library) tags(machine string) []string {
	var tags []string
	if l.Musl {
		for minor := l.Minor; minor >= 0; minor-- {
			tags = append(tags, fmt.Sprintf("musllinux_%d_%d_%s", l.Major, minor, machine))
		}
		return append(tags, "linux_"+machine)
	}
	older := map[int]string{17: "manylinux2014_", 12: "manylinux2010_", 5: "manylinux1_"}
	oldest := 17
	if machine == "x86_64" || machine == "i686" {
		oldest = 5
	}
	for minor := l.Minor; minor >= oldest; minor-- {
		tags = append(tags, fmt.Sprintf("manylinux_%d_%d_%s", l.Major, minor, machine))
		if name := older[minor]; name != "" {
			tags = append(tags, name+machine)
		}
	}
	return append(tags, "linux_"+machine)
}

// listed joins platforms for a message.
func listed(platforms []string) string { return strings.Join(platforms, ", ") }

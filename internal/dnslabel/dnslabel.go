// Package dnslabel says which names may be those of projects, wraps and
// deployments: they become names of folders, hosts and containers.
package dnslabel

// Max is the most bytes of a label.
const Max = 63

// Valid reports whether s is a DNS label in lower case (RFC 1123).
func Valid(s string) bool {
	if s == "" || len(s) > Max || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

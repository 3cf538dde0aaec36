// Package requirement reads pip requirements files and says whether two of them
// can be installed into one folder.
//
// It knows names (PEP 503), versions and specifiers (PEP 440), requirement lines
// and their markers (PEP 508), and pip's requirements file format: comments,
// continued lines, options, included files. It asks no index: whether a range
// holds any published version is pip's to say. Where lines alone do not tell,
// Set.Clash says so, and its callers keep the functions apart.
package requirement

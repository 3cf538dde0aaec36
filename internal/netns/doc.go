// Package netns makes network namespaces (network_namespaces(7)) and works within
// them. A namespace is a thread's: what is done in one is done on a thread of its own,
// which ends with it. Sockets and processes that are made there stay there.
package netns

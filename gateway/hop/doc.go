// Package hop carries one HTTP/1.1 request over one pooled, persistent
// connection to one backend: the gateway's way to a wrap's agent.
//
// net/http's Transport gives each connection two goroutines, so a request
// costs four switches between goroutines besides its system calls. Here the
// caller's goroutine writes the request with one system call and reads the
// answer itself. BenchmarkHop in this folder and BenchmarkGateway in gateway/
// compare the two; RATIONALE.md has the figures.
//
// The answer's reader is strict where net/http is lenient (bare line feeds,
// repeated lengths, a length beside chunks, folded headers): both ends are
// ours, and whatever is unclear about where an answer ends would hand one
// caller another caller's bytes. FuzzResponse holds it against net/http: what
// is taken here must be read there the same.
//
// Not supported, on purpose: HTTP/2, TLS, proxies, redirects, trailers (read
// and dropped), upgrades, pipelining.
package hop

// Package bundle is the generator: a plan and the functions' code become one
// folder per wrap, which is all that the wrap's agent needs (its form is
// plan.Manifest's). The paper's Generator emits an orchestrator's code; ours
// emits none, since the agent interprets the plan.
//
// # Same input, same bytes
//
// Building twice gives the same bytes: files are written in the order of their
// names, with modes 0644 or 0755 and times that follow from their contents;
// what pip leaves of the machine it ran on (shebangs, direct_url.json, the
// order of RECORD, bytecode) is taken out. Then packages and host program are
// compiled in a way that gives the same bytes again, with the same CPython. The
// file checksums lists every other file in sha256sum's form, so that "sha256sum -c
// checksums" checks a bundle anywhere, and its own digest stands for the bundle.
//
// Requirements that are not pinned ("requests>=2") are resolved once for an
// interpreter and kept in the cache; another machine, or an emptied cache, may
// resolve them to newer versions. Wheels install to the same bytes everywhere; a
// package that is compiled at installation is as reproducible as its build.
//
// # For another machine
//
// With a Target, requirements are resolved for an interpreter that does not run
// here: that of an image (bundle/oci). The bundle's form is the same.
//
// Where it stands: right of plan, workflow and host (whose program it ships),
// left of deploy (which runs what it makes). It starts interpreters to compile
// handlers and packages (never to run them) and to run pip; it knows nothing of
// sandboxes.
package bundle

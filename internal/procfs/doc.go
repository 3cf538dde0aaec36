// Package procfs reads what Linux says of processes in /proc: proc(5).
//
// Where it stands: below whatever looks at processes, the agent among them. What
// else of /proc only one package needs, that package reads itself.
package procfs

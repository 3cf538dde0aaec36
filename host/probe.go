package host

import "path/filepath"

// Probe is a function of the host's own that starts a thread in the worker that
// it is called on: one that notices when the interpreter lock is free, and writes
// that to the file that the call's body names. See chiron_host/probe.py for what
// it writes. Its reply is the thread's number. program is Spec.Program.
func Probe(program string) Function {
	return Function{
		Name: "chiron.probe", // no project's: its functions have no dot in their names
		File: filepath.Join(program, "chiron_host", "probe.py"), Symbol: "start", Kind: KindText,
	}
}

// Package host runs functions: the Go side of the language hosts, and the
// hosts themselves (python/, embedded). It knows processes, sockets and
// handlers; it knows nothing of workflows, plans or HTTP servers.
//
// A *zygote* is an interpreter that has imported the functions and does
// nothing but fork *workers*. It is single-threaded and never runs a handler,
// so its heap is clean (gc.freeze) and a fork takes no lock with it. A worker
// serves *lanes*: a lane is one Unix stream socket, served by one thread that
// blocks in recv, runs the handler and sends the reply. So the kernel wakes
// exactly the thread that will run the function, and no Python thread hands a
// call to another. Several lanes of a worker are threads that share one
// interpreter lock.
//
// # Lives and deaths
//
// The zygote is killed when this process dies (parent-death signal; and its
// control socket closes), the workers when the zygote does. Every worker leads
// a process group of its own: what its handlers started is killed with it, when
// it ends in whatever way. What left that group becomes the zygote's child when
// its parent ends (PR_SET_CHILD_SUBREAPER) and is killed at the end of the next
// worker, or of the zygote at the latest. A worker ends when all its lanes have closed, by
// _exit: leaked threads cannot hold it up, and atexit functions do not run.
//
// # Frames
//
// All numbers are little-endian. Every frame begins with the number of bytes
// that follow that field (uint32) and its kind (uint8). A peer that breaks a
// bound or a length is not spoken to any more: the Python side ends its
// process, the Go side kills it.
//
// On a lane, one call at a time: the agent sends CALL, the worker any number of
// LOG and one REPLY.
//
//	CALL    0 length u32 · 4 kind=1 u8 · 5 flags u8 · 6 function u16 (its place in Spec.Functions;
//	        the number after the last: no handler, see Warm below)
//	        8 length of request id u16 (≤ 1 KiB) · 10 slot u16 · 12 length of meta u32 (≤ 1 MiB)
//	        16 deadline i64 (CLOCK_MONOTONIC, ns; 0: none)
//	        24 request id · meta (JSON object of type Meta, or nothing) · body (≤ MaxBody)
//	REPLY   0 length u32 · 4 kind=2 u8 · 5 outcome u8 · 6 content u8 · 7 flags u8
//	        8 status u16 (0: none) · 10 zero u16 · 12 length of headers u32 (≤ 1 MiB)
//	        16 start i64 (CLOCK_MONOTONIC, ns) · 24 run i64 (ns) · 32 CPU i64 (ns)
//	        40 headers (JSON list of [name, value]) · body (≤ MaxBody)
//	LOG     0 length u32 · 4 kind=3 u8 · 5 stream u8 (1 stdout, 2 stderr) · 6 zero u16
//	        8 text (UTF-8, one or more lines; ≤ 2 MiB, ≤ 1 MiB a call)
//
// A row is several functions called by one CALL with flag 4: in the place of meta
// stand when the last must have ended (i64, CLOCK_MONOTONIC, ns; 0: never) and, for
// each function after the first, function u16 · six zero bytes · the most time of its
// call i64 (ns); MaxRow at most. The worker calls them one after the other in the lane's
// thread, each with what the one before returned, which does not leave the process
// (chiron_host/row.py). As one ends and the next is to begin, it sends a REPLY without
// body and with flag 4, which tells how long that one took, and the LOGs before it are
// that one's. So the agent knows which function it waits for, and holds each to its own
// time. The row ends with the first failure.
//
//	STOP    0 length u32 · 4 kind=4 u8 · 5 zero, 19 bytes; agent → worker while a row is under way:
//	        no other function of it is to begin. The worker looks for it between two.
//
// Outcomes: 0 the body is the result; 1 the handler raised, 2 its result
// cannot be sent, 3 the body is not what it takes: the reply's body is
// {"type","message","traceback"} then; 4 no thread could be started for the lane,
// the call was not read and the lane serves none; 5 the next function of the row was not
// to begin, because of a STOP or because this one ended after its deadline. Contents: 0 none, 1 text, 2 JSON,
// 3 bytes.
//
// A body over Spec.ShareOver is in shared memory where there is any to be had:
// flag 1, and the body's size (u64) stands in its place. The file (memfd,
// F_SEAL_SHRINK) goes beside the frame's first byte, SCM_RIGHTS; a size over
// MaxBody or over the file's, a file of another kind or without the seal are
// not taken. A large reply goes to the file of the call's slot, numbered from 1,
// of which a lane has at most four: with flag 2 of the CALL the one that is
// there is written again, as long as it is large enough; otherwise, and with
// slot 0, it is a new one, and comes with flag 2 of the REPLY. Nobody writes to a
// file that somebody may still read: the agent counts (internal/memfile). What
// has slot 0 is sealed against writing, too (F_SEAL_WRITE).
//
// On the zygote's control socket (its fd 3), and on the one of a worker that
// may get more lanes, frames have three zero bytes after their kind:
//
//	CONFIG  kind=16, agent → zygote, once: JSON of functions, site path, limits
//	READY   kind=17, zygote → agent, once: JSON of what was imported and what was not
//	SPAWN   kind=18: worker u32 · lanes u16 · flags u16 (1: with a control socket) · CPU i32 (-1: any)
//	        switch interval u32 (µs, 0: default) · RLIMIT_DATA u64 (0: none); beside it, SCM_RIGHTS:
//	        [control socket] lane…
//	SPAWNED kind=19: worker u32 · pid i32 (0: no) · errno i32
//	EXITED  kind=20: worker u32 · pid i32 · wait status i32
//	ADD_LANE kind=24, agent → worker, empty; beside it one lane
//
// On a connection to a template (template.go), which begins with its empty READY:
//
//	FORK    kind=32, agent → template, once: JSON of folder, environment, control groups; beside it,
//	        SCM_RIGHTS: control socket, stdout, stderr of the zygote
//	FORKED  kind=33: pid i32 (0: no) · errno i32
//	ENDED   kind=34: pid i32 · wait status i32; the connection's close kills the zygote
//
// A CALL may be written before its worker exists: it waits in the socket, so
// a forked process starts with its work in hand.
//
// # Warm
//
// A process runs everything for the first time at the price of page faults: it
// copies what it writes and maps the interpreter's code. So the zygote serves a
// few calls of stand-ins for handlers before it freezes its heap
// (chiron_host/rehearsal.py), and Worker.WarmUp calls a waiting worker, on each
// lane, as the function after the last: with an empty body the host takes its
// codecs' ways and touches what the handlers' modules name; with a function's
// number (decimal) as body it runs that one's warmup entry. No handler runs.
//
// # What functions see
//
// Each function's folder is a package of its own, and its modules import from
// there first, so that functions whose folders hold modules of the same name
// share a process (chiron_host/functions.py). The environment is built from
// nothing (Spec.Env); the current folder is Spec.WorkDir, not the bundle.
//
// What a call prints through sys.stdout and sys.stderr becomes LogLines with
// its request id, live and in order, up to 1 MiB a call. What bypasses them
// (C code, subprocesses, threads that a handler started) becomes LogLines
// without one.
package host

//go:build ignore

// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// What the kernel tells about one thread: when it leaves a CPU and why, when it
// may run again, when it does; when it lets go of its interpreter's lock and
// takes it; and the system calls by which its process names files and
// addresses. Nothing is interpreted here: see trace.go.

#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// The licence of the helpers that read the kernel's and the process' memory.
char allowed[] SEC("license") = "Dual MIT/GPL";

// The thread, and its process, by their numbers in the first namespace: set
// before the programs are loaded, so that a comparison is all that any other
// thread pays.
const volatile __u32 thread;
const volatile __u32 process;

enum kind {
	LEFT = 1, // the CPU
	WOKEN,
	CAME, // onto a CPU
	RELEASED,
	TAKES, // it wants the lock: from here on it has it, or waits for it
	CALLED, // a system call with a name
	FORKED,
};

// One thing that happened. 24 bytes.
struct event {
	__u64 at; // CLOCK_MONOTONIC, ns
	__u32 process;
	__u16 kind;
	__u16 waits; // LEFT: it cannot go on until something wakes it
	__s32 call;  // LEFT: the system call that it is in; -1: none
	__u32 other; // FORKED: the new process
};

// NAME is how much of a path is kept, bytes; a socket's address is shorter.
#define NAME 512

// MAX_ADDRESS is longer than the address of any socket that is told of.
#define MAX_ADDRESS 127

// A system call that names a file or an address, as it ended. It begins like an
// event.
struct named {
	struct event event;
	__s64 result;
	__u64 arguments[6];
	__u64 how; // openat2's flags
	__u32 length[2];
	__u8 names[2][NAME];
};

struct event *unused_event __attribute__((unused));
struct named *unused_named __attribute__((unused));

// How a system call names things, by its number. An argument is given by its
// place from 1 on; 0: it has none.
struct form {
	__u8 path[2];
	__u8 address; // a socket's, whose length is in the next argument
	__u8 how;     // of struct open_how
	__u8 plain;   // it is told though it names nothing
};

struct form *unused_form __attribute__((unused));

// Some 300,000 events: what a thread that does nothing but take and release its
// lock makes in a tenth of a second.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

// Arrays cost next to nothing to look into; 512 is more than there are calls.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct form);
} forms SEC(".maps");

// Processes whose named calls are told: the thread's, and their children.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} followed SEC(".maps");

struct pending {
	__u64 call;
	__u64 arguments[6];
};

// Calls that are under way, by thread.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct pending);
} under_way SEC(".maps");

// Events for which there was no room, and when the first and the last of them
// would have come.
struct {
	__u64 count, first, last;
} lost;

// What find_thread looks for, and found.
const volatile __u32 wanted_thread;
__u32 found_thread, found_process;

static __always_inline void lose(void)
{
	__u64 now = bpf_ktime_get_ns();

	if (__sync_fetch_and_add(&lost.count, 1) == 0)
		lost.first = now;
	lost.last = now;
}

static __always_inline void tell(__u16 kind, __u16 waits, __s32 call, __u32 of, __u32 other)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lose();
		return;
	}
	e->at = bpf_ktime_get_ns();
	e->process = of;
	e->kind = kind;
	e->waits = waits;
	e->call = call;
	e->other = other;
	// The reader comes by itself: waking it would cost the thread.
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

static __always_inline __s32 call_of(struct task_struct *task)
{
	void *regs = (void *)bpf_task_pt_regs(task);
	struct pt_regs___x86 *x86 = regs;
	struct pt_regs___arm64 *arm64 = regs;

	if (bpf_core_field_exists(x86->orig_ax))
		return (__s32)BPF_CORE_READ(x86, orig_ax);
	if (bpf_core_field_exists(arm64->syscallno))
		return BPF_CORE_READ(arm64, syscallno);
	return -1;
}

static __always_inline __u16 waits(struct task_struct *task)
{
	struct task_struct___old *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state) != 0;
	return BPF_CORE_READ(old, state) != 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *before, struct task_struct *after)
{
	if ((__u32)before->pid == thread)
		tell(LEFT, preempted ? 0 : waits(before), call_of(before), process, 0);
	if ((__u32)after->pid == thread)
		tell(CAME, 0, -1, process, 0);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	if ((__u32)task->pid == thread)
		tell(WOKEN, 0, -1, process, 0);
	return 0;
}

// The kernel calls these in the thread's process alone; its other threads have
// the same lock.
SEC("uprobe")
int lock_released(void *regs)
{
	if ((__u32)bpf_get_current_pid_tgid() == thread)
		tell(RELEASED, 0, -1, process, 0);
	return 0;
}

SEC("uprobe")
int lock_taken(void *regs)
{
	if ((__u32)bpf_get_current_pid_tgid() == thread)
		tell(TAKES, 0, -1, process, 0);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 from = parent->tgid, to = child->tgid;

	if (from == to || !bpf_map_lookup_elem(&followed, &from))
		return 0;
	bpf_map_update_elem(&followed, &to, &from, BPF_ANY);
	tell(FORKED, 0, -1, from, to);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	__u32 id = task->tgid;

	// A number that is free may become anybody's.
	if (task->pid == task->tgid && id != process)
		bpf_map_delete_elem(&followed, &id);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long id)
{
	__u64 self = bpf_get_current_pid_tgid();
	__u32 owner = self >> 32, call = id;
	struct pt_regs___x86 *x86 = (void *)regs;
	struct pt_regs___arm64 *arm64 = (void *)regs;
	struct pending p = {};

	if (!bpf_map_lookup_elem(&followed, &owner))
		return 0;
	struct form *form = bpf_map_lookup_elem(&forms, &call);
	if (!form || !(form->path[0] | form->path[1] | form->address | form->plain))
		return 0;
	p.call = call;
	if (bpf_core_field_exists(x86->di)) {
		p.arguments[0] = BPF_CORE_READ(x86, di);
		p.arguments[1] = BPF_CORE_READ(x86, si);
		p.arguments[2] = BPF_CORE_READ(x86, dx);
		p.arguments[3] = BPF_CORE_READ(x86, r10);
		p.arguments[4] = BPF_CORE_READ(x86, r8);
		p.arguments[5] = BPF_CORE_READ(x86, r9);
	} else if (bpf_core_field_exists(arm64->regs)) {
		p.arguments[0] = BPF_CORE_READ(arm64, orig_x0);
		p.arguments[1] = BPF_CORE_READ(arm64, regs[1]);
		p.arguments[2] = BPF_CORE_READ(arm64, regs[2]);
		p.arguments[3] = BPF_CORE_READ(arm64, regs[3]);
		p.arguments[4] = BPF_CORE_READ(arm64, regs[4]);
		p.arguments[5] = BPF_CORE_READ(arm64, regs[5]);
	}
	bpf_map_update_elem(&under_way, &self, &p, BPF_ANY);
	return 0;
}

// argument is the one at a place from 1 on. The verifier wants to see that the
// place is inside.
static __always_inline __u64 argument(struct pending *p, __u8 place)
{
	__u32 at = (__u32)place - 1;

	return at < 6 ? p->arguments[at] : 0;
}

// Names are read as the call ends: the kernel has read them by then, so their
// pages are there.
SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	__u64 self = bpf_get_current_pid_tgid();
	struct pending *p = bpf_map_lookup_elem(&under_way, &self);
	long n;

	if (!p)
		return 0;
	__u32 call = p->call;
	struct form *form = bpf_map_lookup_elem(&forms, &call);
	struct named *c = form ? bpf_ringbuf_reserve(&events, sizeof(*c), 0) : 0;
	if (!c) {
		lose();
		goto out;
	}
	c->event.at = bpf_ktime_get_ns();
	c->event.process = self >> 32;
	c->event.kind = CALLED;
	c->event.waits = 0;
	c->event.call = call;
	c->event.other = 0;
	c->result = result;
	__builtin_memcpy(c->arguments, p->arguments, sizeof(c->arguments));
	c->how = 0;
	if (form->how)
		bpf_probe_read_user(&c->how, sizeof(c->how), (void *)argument(p, form->how));
#pragma unroll
	for (int i = 0; i < 2; i++) {
		c->length[i] = 0;
		if (form->path[i]) {
			n = bpf_probe_read_user_str(c->names[i], NAME, (void *)argument(p, form->path[i]));
			c->length[i] = n > 0 ? n : 0;
		}
	}
	if (form->address) {
		__u64 size = argument(p, form->address + 1);
		if (size > MAX_ADDRESS)
			size = MAX_ADDRESS;
		barrier_var(size); // or the compiler drops what tells the verifier
		size &= 127;
		if (!bpf_probe_read_user(c->names[0], size, (void *)argument(p, form->address)))
			c->length[0] = size;
	}
	bpf_ringbuf_submit(c, BPF_RB_NO_WAKEUP);
out:
	bpf_map_delete_elem(&under_way, &self);
	return 0;
}

// find_thread finds the numbers in the first namespace of the thread that has
// the number wanted_thread in the reader's: they differ inside of a container.
SEC("iter/task")
int find_thread(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_struct *reader = bpf_get_current_task_btf();

	if (!task)
		return 0;
	unsigned int level = BPF_CORE_READ(reader, thread_pid, level);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 nr = 0;
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		   level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr);
	if (bpf_probe_read_kernel(&nr, sizeof(nr), at) || nr != wanted_thread)
		return 0;
	found_thread = task->pid;
	found_process = task->tgid;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The parts of the kernel's types that probes.c reads. Offsets are not taken
 * from here: with preserve_access_index the loader finds them in the running
 * kernel's BTF (CO-RE). What follows "___" in a name is ignored by it.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

/* include/uapi/linux/bpf.h */
enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_ANY = 0 };
enum { BPF_RB_NO_WAKEUP = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* as many as level says, and one */
};

struct task_struct {
	int pid;  /* of the thread, in the first namespace */
	int tgid; /* of the process */
	unsigned int __state;
	struct pid *thread_pid;
};

/* Until Linux 5.13. */
struct task_struct___old {
	long state;
};

/* The registers with which a system call was entered. */
struct pt_regs;

struct pt_regs___x86 {
	unsigned long r10, r9, r8, dx, si, di;
	unsigned long orig_ax; /* the call's number; -1 outside of one */
};

struct pt_regs___arm64 {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno; /* -1 outside of one */
};

struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop

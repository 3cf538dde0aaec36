// Package cgroup reads control groups (cgroups(7)) of both versions: which
// groups this process is in, what they hold it to, and whether a limit was
// reached.
//
// Version 1 has a tree of folders for each controller, version 2 one for all
// (the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst). What
// differs is told by the files that a folder holds, so that a Group is a folder
// and no more.
package cgroup

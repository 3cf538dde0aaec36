// Package servers finds the processes of this machine that a function's process
// talks to, and how much CPU time they have had: what a function waits for may be
// work of the machine that it runs on.
//
// Who listens at an address is in the kernel's tables of sockets (/proc/net/tcp,
// tcp6 and unix: proc_net(5)), which name sockets by inode, and the processes'
// descriptors do too. Reading another user's needs the right to; a server that is
// not found counts as being elsewhere.
//
// Package profiler measures with it, and nothing else imports it.
package servers

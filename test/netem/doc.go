// Package netem tests wraps on several machines: network namespaces with addresses
// of their own, and a network between them that takes its time and loses packets.
//
// Where the kernel has sch_netem, tc makes it so (tc-netem(8)); else a relay between
// two tun devices does. Its tests need root's rights.
package netem

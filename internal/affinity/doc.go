// Package affinity says which CPUs this process may run on: its scheduling
// affinity (sched_setaffinity(2)), which taskset and a control group's cpuset set
// and children inherit.
package affinity

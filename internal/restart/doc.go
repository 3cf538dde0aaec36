// Package restart says how long to wait before something that ended is started
// again: at once the first time, then ever longer while it goes on ending.
//
// Where it stands: below what keeps processes running, deploy/local its wraps and
// gateway/container its containers.
package restart

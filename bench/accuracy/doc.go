// Package accuracy measures how far predictions are from what happens: it
// serves a workflow under every deployment model and under searched plans, all
// at the same time, sends each of them requests in turn, and holds the latencies
// against the predictions made from this session's profile and calibration.
//
// The functions are profiled twice, before and after the requests, and a
// prediction is the mean of both: a virtual machine's speed may be another a
// minute later, and that is no fault of the model. How far the two profiles are
// apart is in the report (Workflow.Drift).
//
// Two yardsticks stand beside the predictions, made from the same profile: the
// longest function of every stage, added up, and the sum of all functions.
// Neither knows anything of placement.
//
// It is the experiment behind "chiron bench accuracy".
package accuracy

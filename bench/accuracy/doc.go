// Package accuracy holds predictions against measurements: each workflow is
// served under every deployment model, under searched plans, and under a sample
// of all placements that there are, in two process modes and on one and two CPUs.
//
// Machines drift, by a half and more from one second to the next where others use
// the same hardware, so what is compared is measured side by side: a batch of
// placements is up at the same time and takes turns, one request a round; in the
// same rounds each function runs alone, warm and in forks (solo.go), which gives
// the profile of before its lengths; the machine's constants are measured every
// few minutes, and a prediction is the mean of those from either side.
//
// Everything that is measured goes to a file as it comes (archive.go), and
// predictions are made when it is reported: so a run can be interrupted and go
// on, and a changed model be held against measurements of before.
package accuracy

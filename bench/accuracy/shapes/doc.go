// Package shapes holds the workflows whose placements bench/accuracy measures:
// the stages are those of the workflows that the paper's predictor is judged on,
// the functions those of the examples SLApp and FINRA-5, and services that
// compute and wait for fixed lengths where the paper's functions call databases.
//
// A shape is a project as users write them, put together in a folder of the
// caller's.
package shapes

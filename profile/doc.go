// Package profile holds what is known of how each function behaves alone: its
// periods on and off the CPU in order, its memory, the files it writes, its
// variability. It has the types, their JSON form, and the Tracer interface;
// profile/profiler measures, the folders beside it trace. It must not import a
// tracer or the host: plan and predict import it, and so does the agent.
//
// Times are time.Duration in code and milliseconds in files, with the unit in
// the key ("mean_ms").
package profile

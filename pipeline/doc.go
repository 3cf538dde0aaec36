// Package pipeline strings a plan's way together: profile, calibrate, plan,
// bundle, deploy, serve, measure. A verb of the command line is one stretch of
// it; "chiron run" is all of it.
//
// Every step takes a context and options, tells its progress to a callback, and
// returns a report whose JSON form is what "--output json" prints. Nothing here
// prints or reads flags.
//
// # What is kept where
//
// profile.json and plan.json lie beside the project's chiron.yaml, for people to
// read and to commit. Everything else is in the folder .chiron there (Files):
// bundles, and what the profile was made from, so that a step whose input has
// not changed is not done again. This machine's calibration is in the user's
// cache folder, since it is the same for all projects.
//
// Where it stands: it may import everything but cmd; nothing but cmd, bench and
// tests import it.
package pipeline

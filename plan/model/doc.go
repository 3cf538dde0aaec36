// Package model holds the fixed deployment models that Chiron is compared with:
// rules that make a plan of a workflow without looking at how long anything
// takes. Since they are plans like the searched one, one runtime executes them
// all, and a side by side measures the deployment model and nothing else.
//
// Sources: sections 2 and 6 of the paper, which takes the models from OpenFaaS,
// SAND (ATC'18) and Faastlane (ATC'21).
//
// It stands beside plan, whose types it fills, and left of plan/pgp, which shows
// what the models would cost. It knows nothing of predictions.
package model

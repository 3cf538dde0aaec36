// Package openfaas is the target that runs a plan's wraps as functions of OpenFaaS,
// through its gateway's REST API: OpenFaaS' own, or "chiron gateway".
//
// # What is deployed
//
// Wrap 1 is the function of the deployment's name, so the workflow is called as
// /function/NAME. Every other wrap is a function whose name has the plan's id in
// it; wrap 1 is told where each of them is (the variable CHIRON_PEERS), through the gateway or
// directly. Labels mark them as one workflow's: what the target knows of a
// deployment is what the gateway tells of its functions.
//
// # Another plan
//
// Apply brings the new plan's wraps up beside the old ones, then changes wrap 1 in
// place, and removes the old wraps when the requests inside have had their time. An
// old wrap 1 calls old wraps and a new one new ones, so no request meets two plans;
// the agents refuse one that does. Where anything fails, what was made is removed
// and wrap 1 is put back. What was left half done, because nobody was there to put
// it back, is finished by the next Apply or taken away by Down.
//
// Where it stands: right of bundle, beside local. What a wrap's image is, the
// caller says (Options.Image).
package openfaas

// Package kubernetes is the target that runs a plan's wraps on Kubernetes, through
// its API: no controller of ours is needed there, though there is one that does the
// same for Workflow resources (deploy/kubernetes/controller).
//
// # What is deployed
//
// Every wrap is a Deployment of pods whose CPUs are whole and whose requests are
// their limits, so that the kubelet's static CPU manager gives each its own; a
// HorizontalPodAutoscaler and a PodDisruptionBudget go with it. Wrap 1 calls the
// others through a Service each, by its name. The workflow is the Service of the
// deployment's name. Network policies let only wrap 1 reach the others; the service
// account of the pods may do nothing.
//
// An image is a wrap of the plan, or it holds functions only (Workload.Definition):
// then a ConfigMap of the revision brings the plan and the definition to its pods,
// and the same images serve any plan that keeps apart what they hold apart.
//
// # Another plan
//
// What runs of a plan, its revision, has the plan's id in names and selectors, and a
// wrap 1 calls wraps of its own revision only. Apply brings a new revision up beside
// the old one, and when all of it is ready changes the one selector of the workflow's
// Service. Old wraps go on for the requests inside and for callers that hold a
// connection (wrap.Options.Linger), wrap 1 goes first, and then those that it calls.
// Where anything fails before the switch, the new revision is removed. What was left
// half done, because nobody was there to remove it, is finished by the next Apply or
// taken away by Down. The steps of this are Rollout's; Apply waits between them.
//
// Objects are applied on the server's side with the field manager "chiron": what
// others own of them (an autoscaler the number of replicas, a user a label) stays.
//
// Where it stands: right of bundle, beside local and openfaas. What a wrap's image
// is, the caller says. It must not come into wrap or what wrap imports: a cluster's
// client is larger than the agent.
package kubernetes

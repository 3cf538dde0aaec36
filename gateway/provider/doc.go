// Package provider is the administration side of OpenFaaS' REST API, for
// functions that are bundles or container images: what answers /system/ of a gateway that others
// deploy to.
//
//	/system/functions           GET list, POST deploy, PUT update, DELETE
//	/system/function/NAME       GET one
//	/system/scale-function/NAME POST its number of replicas
//	/system/secrets             GET names, POST, PUT, DELETE
//	/system/logs?name=NAME      GET, as lines of JSON
//	/system/namespaces, /system/namespace/NAME, /system/info
//
// docs/openfaas.md has the table of requests, answers and status codes.
//
// # One function
//
// The image of a function is a container image's name, which package container
// pulls and runs, or "bundle:" and the absolute path of a bundle's folder on the
// gateway's machine (bundle.Build makes it). A bundle is copied, so that another
// build does not change what runs, checked against its checksums, and started as
// a deployment of its own whose instances are the replicas. An update starts
// beside what runs, takes over its route in one step and lets the requests inside
// end; one that does not start leaves the function as it was, and the answer says
// why. So a request meets one version or the other, and no update fails it.
//
// # State
//
// Everything asked for is in the state folder before it is answered, and is there
// again when the gateway is: specifications, bundles, secrets. Values of secrets
// are never in an answer or a log.
//
// Where it stands: right of gateway, whose routes it sets, and of deploy, whose
// targets run the bundles, and of container, which runs images. It knows nothing of requests.
package provider

// Package auth asks for a user and a password as OpenFaaS' gateway does: HTTP
// basic authentication, both read from files named as there.
package auth

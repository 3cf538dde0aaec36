package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What a registry is asked for.
const (
	reading = "read"
	pushing = "push"
)

// NoPythonError says that a base has no interpreter that a wrap's functions run
// on.
type NoPythonError struct {
	// Base as it was given; Platform of it.
	Base, Platform string
	// Runtime that the functions ask for; empty: any.
	Runtime string
	// Has are the versions that it has.
	Has []string
}

func (e *NoPythonError) Error() string {
	where := fmt.Sprintf("base %s for %s", e.Base, e.Platform)
	switch {
	case len(e.Has) == 0:
		return where + " has no Python 3: choose one that has, such as python:3.12-slim"
	case strings.HasPrefix(e.Runtime, "/"):
		return fmt.Sprintf("%s has no Python at %s, which is the functions' runtime (it has Python %s): name a version instead of a path",
			where, e.Runtime, strings.Join(e.Has, ", "))
	}
	return fmt.Sprintf("%s has no Python for runtime %q (it has Python %s): choose another base, or another runtime",
		where, e.Runtime, strings.Join(e.Has, ", "))
}

// RegistryError says that a registry does not do what it is asked.
type RegistryError struct {
	// Doing is "read" or "push"; Reference what; Registry its host.
	Doing, Reference, Registry string
	// Status is the answer's, 0 where there was none.
	Status int
	Err    error
}

func (e *RegistryError) Error() string {
	what := fmt.Sprintf("%s %s", e.Doing, e.Reference)
	text := e.text(what)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *RegistryError) text(what string) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return fmt.Sprintf("%s: registry %s asks for a login, or does not take yours (401): log in (docker login %s), or check the name", what, e.Registry, e.Registry)
	case http.StatusForbidden:
		return fmt.Sprintf("%s: registry %s does not permit it to this login (403): ask for the right, or log in as somebody else (docker login %s)", what, e.Registry, e.Registry)
	case http.StatusNotFound:
		if e.Doing == pushing {
			break
		}
		return fmt.Sprintf("%s: registry %s has no such image (404): check the name", what, e.Registry)
	case http.StatusTooManyRequests:
		return fmt.Sprintf("%s: registry %s has answered too many requests (429): log in, or try later", what, e.Registry)
	case 0:
		return fmt.Sprintf("%s: registry %s cannot be reached", what, e.Registry)
	}
	return fmt.Sprintf("%s: registry %s answers %d", what, e.Registry, e.Status)
}

// Unwrap is the cause.
func (e *RegistryError) Unwrap() error { return e.Err }

// registryError explains what came of talking to a registry.
func registryError(ctx context.Context, doing, reference, registry string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &RegistryError{Doing: doing, Reference: reference, Registry: registry, Err: err}
	var answer *transport.Error
	var unreached *url.Error
	switch {
	case errors.As(err, &answer):
		e.Status = answer.StatusCode
		e.Err = shortAnswer(answer)
	case !errors.As(err, &unreached): // a file of ours, say
		return fmt.Errorf("%s %s: %w", doing, reference, err)
	}
	return e
}

// maxAnswer is the most of a registry's answer that a message holds, bytes.
const maxAnswer = 200

// shortAnswer is what a registry says, in a line: its own words, or that they are
// no registry's, as of a proxy that answers with a page.
func shortAnswer(answer *transport.Error) error {
	var words []string
	for _, d := range answer.Errors {
		words = append(words, strings.TrimSpace(string(d.Code)+" "+d.Message))
	}
	text := strings.Join(words, "; ")
	switch {
	case text != "":
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil // that is said already
	default:
		return errors.New("without a registry's words for it: does a registry serve there?")
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + "…"
	}
	return errors.New(text)
}

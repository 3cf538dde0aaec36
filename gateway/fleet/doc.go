// Package fleet keeps as many instances of a deployment as its requests need,
// and gives each request the one that has the fewest.
//
// # One request
//
// A request asks for a place with a wrap (Acquire) and gives it back (Release).
// It gets the instance with the fewest requests there, the lowest number where
// several have as few, so that instances which are not needed fall idle. Where
// every instance is at its limit it waits, first come first served, and one more
// instance is started for as many waiters as an instance takes, up to
// Options.Max. So requests that come to none at all wait for one start together.
//
// # Fewer
//
// An instance that was not needed for Options.Idle gets no more requests while
// the others have room, and is stopped once it has none, down to Options.Min. No
// request is lost: who has a place keeps its instance running.
//
// # What fails
//
// A start that fails is the answer of all that wait while no instance runs; for a
// pause that grows with each failure in a row, requests are answered with it at
// once and nothing is started. An instance that was not to be reached (Suspend)
// gets no requests for a moment where there is another.
package fleet

//go:build race

package pgp

const raceEnabled = true

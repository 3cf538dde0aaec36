// Package plot draws the plans that no other beats.
package plot

// Package plot draws a profile: each function's periods in order, as bars.
package plot

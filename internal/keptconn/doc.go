// Package keptconn looks at connections that are kept between requests: whether the
// other side has ended one cannot be told by writing to it, which then succeeds.
package keptconn

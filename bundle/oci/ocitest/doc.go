// Package ocitest is what tests of images set up, where nothing beyond this machine
// is to be reached.
package ocitest

// Package search holds the search against real runs: for each workflow the chosen
// plan, the one with a CPU fewer, and random plans of as many CPUs are served and
// measured by turns. The chosen one is to meet the objective, the smaller one not,
// and no random one is to be faster by more than the noise.
package search

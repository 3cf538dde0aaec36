// Package quantile has the quantiles that this program reports and judges by.
//
// Nearest is the nearest-rank percentile, the inverse of the empirical
// distribution function: definition 1 of Hyndman and Fan, "Sample Quantiles in
// Statistical Packages", The American Statistician 50(4), 1996. It is always a
// value that was measured, and p99 of fewer than 100 values is the largest.
// Median averages the two in the middle, their definition 2.
package quantile

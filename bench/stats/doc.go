// Package stats is the arithmetic of the benchmarks, apart from them so that
// tests can check it: quantiles, paired ratios, an open-loop schedule and the
// Rao-Blackwell estimate of p99.
package stats

// Package pattern tells how large a regular expression becomes before it is
// compiled. A pattern of a few bytes can compile to a program of megabytes:
// x{1000} has a thousand steps, and \pL has 660 ranges of characters.
//
// Measure a tree of regexp/syntax and compare it with bounds of the caller,
// then compile. It is for patterns that come from others: config for those of
// routes, filter for those of expressions.
package pattern

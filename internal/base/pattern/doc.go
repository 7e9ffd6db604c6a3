// Package pattern computes the compiled size of a regular expression before it is compiled. A pattern of a few bytes
// can compile to a program of megabytes: x{1000} has a thousand steps, and \pL has 660 ranges of characters.
//
// Measure a tree of regexp/syntax, compare the size with your own limits, then compile. The package is for patterns
// from users: config uses it for the patterns of routes, filter for the patterns of expressions.
package pattern

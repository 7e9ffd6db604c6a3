// Package router finds the route of a request: a compiled, immutable table of
// host, path, method and header rules.
//
// Precedence is that of the Kubernetes Gateway API (HTTPRoute, "matching
// precedence"): the most specific host, then an exact path, a regular
// expression, the longest prefix, then a method match, then the number of
// header matches, then the order in the document. A rule that does not match
// never hides one that does: the search falls through to the next best.
//
// [Compile] does all fallible work and returns every mistake at once;
// [Table.Match] allocates nothing and may be called concurrently.
package router

// Package router finds the route of a request in a compiled, immutable table of host, path, method and header rules.
//
// Precedence is that of the Kubernetes Gateway API (HTTPRoute, "matching precedence"): the most specific host, then an
// exact path, a regular expression, the longest prefix, then a method match, then the number of header matches, then
// the order in the document. A rule that does not match never hides a rule that does: the search continues with the
// next best rule.
//
// [Compile] does all work that can fail and returns all mistakes at once. [Table.Match] allocates nothing and may be
// called concurrently.
package router

// Package router finds the route of a request in a compiled, immutable table of rules. A rule has conditions on host, path,
// method, headers, query parameters, cookies, and on the client, the server name and the listener of its connection.
//
// Precedence is that of the Kubernetes Gateway API (HTTPRoute, "matching precedence"), continued for the conditions that it
// does not have: the most specific host, then an exact path, a regular expression, the longest prefix, then a method match,
// then the number of header matches, of query parameter matches and of cookie matches, then a server name match, a client
// match, a listener match, and the order in the document. A rule that does not match never hides a rule that does: the search continues with
// the next best rule.
//
// [Compile] does all work that can fail and returns all mistakes at once. [Table.Match] allocates nothing, except for a
// regular expression on an escaped query parameter, and may be called concurrently. [Table.Explain] says for each rule, in
// the same order, why it does not match.
package router

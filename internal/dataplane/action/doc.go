// Package action holds what a route does to a request and its response: edits of headers, rewrites of host and path,
// redirects, and fixed responses.
//
// Everything is compiled once, when a configuration is loaded: [NewHeaders], [NewWholePath], [NewPrefixPath] and
// [NewRegexPath] do all work that can fail. Package proxy then applies the values at fixed points: a rewrite and the edits
// of a request before its head is written for an instance, a redirect or a fixed response instead of an instance, and the
// edits of a response before its head is written for the client. All values are immutable and safe for concurrent use.
//
// No value of a client can add a line to a head: see [Template.Append].
package action

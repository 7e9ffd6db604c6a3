// Package discovery finds the instances of services.
//
// A source ([fileSource], [httpSource]) reports what it lists, or why it could not. [ParseJSON] and [Check] turn an answer into
// instances, or refuse it as a whole. A membership merges the answers of all sources of a service with the instances of the
// document, and limits what an answer may remove; it is a pure function of answers and time. [Manager] runs the sources,
// keeps the last good answers on disk, and says when the instances of a service have changed.
//
// No part of this package runs on the path of a request.
package discovery

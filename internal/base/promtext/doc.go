// Package promtext reads chosen numbers from a page in the text format of Prometheus (version 0.0.4).
//
// ParseExpr reads which numbers: the name of a metric with matchers of labels as in PromQL, or a quotient. Read adds up the
// series of a page that match. It keeps nothing of the page in memory, so the size of a page costs time only, and Read
// bounds that too. Reports of instances are strangers' input: lines of other metrics are not examined.
package promtext

// Package yamlsafe reads YAML from untrusted sources within limits.
//
// The YAML library recurses for each level of nesting and for each key of a block mapping. It copies its list of tokens
// for each empty value, and builds the whole path of each key. A few hundred kilobytes of hostile text can therefore
// keep the process busy for hours, or end it: a Go program cannot recover from a stack overflow.
//
// [Parse] splits the text into tokens with the library's own scanner, which is iterative. It checks on the tokens what
// the parser would do with them. It calls the parser only for text within [Limits].
//
// Parse counts bytes and indicators, scans, passes each token to an [inspector], parses, and then checks the expansion
// of aliases. Every reader of YAML in this module must use Parse or [Decode]; archtest checks that.
package yamlsafe

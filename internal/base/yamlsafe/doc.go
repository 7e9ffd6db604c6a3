// Package yamlsafe reads YAML that anybody may have written, within bounds.
//
// The YAML library recurses for each level of nesting and for each key of a
// block mapping, copies its list of tokens for each empty value, and builds the
// whole path of each key. A few hundred kilobytes of hostile text therefore end
// the process (a stack overflow cannot be recovered from) or keep it busy for
// hours. [Parse] splits the text into tokens with the library's own scanner,
// which is iterative, checks on the tokens what the parser would do with them,
// and calls the parser only for text within [Limits].
//
// The journey: Parse counts bytes and indicators, scans, lets an [inspector]
// look at each token, parses, and then checks what aliases expand to. Every
// reader of YAML in this module goes through Parse or [Decode]; archtest sees
// to that.
package yamlsafe

// Package accesslog makes the lines of the access log: JSON objects with chosen fields, the combined and the common log
// format, templates, and the messages of topic access-logs. A Format is compiled once; Append allocates nothing. Filter
// decides which exchanges are logged.
//
// Package proxy fills an Entry at the end of each exchange and writes the line.
package accesslog

// Package mask hides parts of messages: fields of JSON values, keys, headers. It is applied before any other processing
// of a message, filters included: a filter on a hidden field would reveal its content.
package mask

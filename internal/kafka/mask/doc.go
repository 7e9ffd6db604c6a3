// Package mask hides parts of messages from those who look at them: fields of
// JSON values, keys, headers. It is applied before anything else is done with a
// message, filters included: a filter on a hidden field would tell what it
// holds.
package mask

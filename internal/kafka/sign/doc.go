// Package sign authenticates records. A signature is an HMAC-SHA-256 over topic, key, value and time, with a key that
// the nodes and operators of one installation share.
//
// A [Ring] holds one key, or two while keys are rotated: the first signs, all verify. A nil Ring signs nothing and
// reports every record as [Unchecked]. Package kafka signs the records that smartlb writes to the topics of [Topics];
// the readers of those topics verify them. The signed time shows that a record is old when a client appends it again;
// the reader decides what to do with it.
package sign

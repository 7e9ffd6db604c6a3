// Package sign says who wrote a record: an HMAC-SHA-256 over topic, key, value
// and time, with a key that the nodes and operators of one installation share.
//
// A [Ring] holds one key, or two while keys are rotated: the first signs, all
// verify. A nil Ring signs nothing and finds every record [Unchecked]. kafka
// signs what smartlb writes to the topics of [Topics] and the readers of those
// topics verify. The signed time makes old records recognizable when somebody
// appends them again; what that means is the reader's decision.
package sign

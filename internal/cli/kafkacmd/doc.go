// Package kafkacmd has the verbs of `smartlb kafka` about a cluster: brokers, topics, records, consumer groups, settings
// and Kafka Connect. Package stackcmd has the verbs about the local stack.
package kafkacmd

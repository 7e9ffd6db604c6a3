// Package kafkacmd is `smartlb kafka`: the verbs about brokers, topics, records, consumer groups and the local stack.
// The script deployment/kafka/kafka-management.sh calls these verbs.
package kafkacmd

// Package kafka is how the rest of the program reaches Kafka: what is sent,
// what is read, and what happens while the brokers are away.
//
// A Producer takes records without ever blocking its caller and counts what it
// could not deliver. A Tail reads whole topics without a consumer group, for
// readers that want everything. A Group shares partitions with its peers, for
// the analyzer. An Admin asks questions: which topics, which offsets, who is
// the cluster.
//
// Constructors validate and never dial. All three survive brokers that go
// away, come back, or come back without their data; the last case gets a new
// client with back-off, because a topic that was deleted and created again has
// a new id, which the client library on purpose does not adopt by itself.
//
// Only this package, broker, ops, kafkatest, report/kafka and end-to-end tests
// may import the client library.
package kafka

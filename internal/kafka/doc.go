// Package kafka is the program's access to Kafka: producing, consuming, and recovery when brokers are unavailable.
//
// A Producer accepts records without ever blocking its caller and counts those that it could not deliver. A Tail reads
// whole topics without a consumer group, for readers that need every record. A Group shares partitions with other
// members of a consumer group, for the analyzer. An Admin queries topics, offsets and the identity of the cluster.
//
// Constructors validate and never dial. Producer, Tail and Group recover when brokers are unavailable, return, or
// return without their data. In the last case they make a new client, with back-off. The reason: a topic that was
// deleted and created again has a new id, which the client library deliberately does not adopt.
//
// Only this package, broker, ops, kafkatest, report/kafka and end-to-end tests may import the client library.
package kafka

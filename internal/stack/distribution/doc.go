// Package distribution puts Apache Kafka, ZooKeeper and Kafka Connect together
// from the jars that their projects publish, and finds what was put together.
//
// A Lock names every jar with its size and its SHA-256 and is the only truth:
// where the jars come from (Maven, a repository of Maven's layout over HTTP or
// in a folder) decides nothing, because each is checked before it gets its
// name. Install fetches what is missing, so that it may be broken off and
// called again; Open finds an installation, or that of KAFKA_HOME.
package distribution

// Package distribution installs Apache Kafka, ZooKeeper and Kafka Connect from the jars that their projects publish,
// and finds installations.
//
// A Lock names every jar with its size and its SHA-256. The source of the jars is Maven, or a repository of Maven's
// layout over HTTP or in a folder. It need not be trusted, because each jar is checked before it gets its name. Install
// fetches missing jars, so it may be interrupted and called again. Open finds an installation, or that of KAFKA_HOME.
package distribution

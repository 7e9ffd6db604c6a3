// Package properties holds the configuration of ZooKeeper, Kafka and Kafka Connect for all runtimes.
//
// A typed value (Zookeeper, Broker, Connect, Log) holds the folders and addresses of a service; File returns its
// properties in a fixed order. The local processes of package stack and the containers of docker-compose.yml differ
// only in addresses and folders; a test checks this.
package properties

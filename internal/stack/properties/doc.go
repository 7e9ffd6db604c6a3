// Package properties is the one source of how ZooKeeper, Kafka and Kafka
// Connect are configured, wherever they run.
//
// A typed value (Zookeeper, Broker, Connect, Log) says where a service lies and
// listens; File gives the properties that follow, in a fixed order. The local
// processes of package stack and the containers of docker-compose.yml differ in
// addresses and folders only, and a test holds them to that.
package properties

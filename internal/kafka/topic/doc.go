// Package topic defines the desired topics and computes the changes that a cluster needs.
//
// Parse reads the catalog, deployment/kafka/topics.yaml. Diff compares it with the topics of a cluster and returns a
// Plan; package admin applies plans. This package uses no network.
package topic

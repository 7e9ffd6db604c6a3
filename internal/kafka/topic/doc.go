// Package topic knows which topics there are to be and what would have to be
// done to a cluster that has others.
//
// Parse reads the catalog, deployment/kafka/topics.yaml. Diff compares it with
// what a cluster has and returns a Plan; package ops carries plans out. Nothing
// here touches a network.
package topic

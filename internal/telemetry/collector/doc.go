// Package collector asks instances for their load in the forms that they already have, and publishes the answers as messages
// of the instances: a page of Prometheus becomes service-metrics (scrape.go), the line of an agent of HAProxy becomes
// health-status (agent.go), reports in a stream of the ORCA service of gRPC become service-metrics (stream.go), and the metrics
// API of Kubernetes becomes service-metrics of pods (pods.go). The header smartlb-reporter of these messages is
// collector/scrape, collector/agent-check, collector/orca-stream or collector/pod-metrics. A Receiver takes the metrics that
// instances send by OTLP (receiver.go, otlp.go; collector/otlp).
//
// It runs on nodes with the role collector and shares the instances among them (share.go): each node computes the same owner
// of each instance from the list of nodes that report their status. No request waits for a collector.
//
// scrape.go, agent.go, pods.go and share.go are pure; collector.go has the connections, the clock and Kafka.
package collector

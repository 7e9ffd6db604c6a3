// Package scaler answers KEDA, which scales workloads of Kubernetes: it serves the gRPC service
// externalscaler.ExternalScaler with what package capacity knows.
//
// The metric is the number of instances that a service needs for its present load at a target utilization, and its target
// is 1, so that the autoscaler arrives at this number whatever number runs. If the capacity is not known, or not well
// enough, a call fails, and KEDA keeps the number of replicas or uses its fallback: a number that is not known must not
// scale down.
//
// app starts it and gives it its listener.
package scaler

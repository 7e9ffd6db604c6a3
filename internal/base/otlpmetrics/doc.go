// Package otlpmetrics walks through the metrics of an OTLP request (opentelemetry-proto 1.x, ExportMetricsServiceRequest), in
// binary protobuf or in the JSON of OTLP, and writes the responses.
//
// The senders are unknown: a walk visits points one after the other and keeps only those of wanted metrics, one at a time. JSON is
// read into memory, so its number of values is bounded first. The caller bounds the bytes.
package otlpmetrics

// Package browse is Kafka as the console shows it: what operators' functions
// (package ops) answer, together with what only something that keeps looking
// can know, rates, lags and latencies over the last minutes.
package browse

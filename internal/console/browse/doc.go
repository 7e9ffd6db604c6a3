// Package browse is the console's view of Kafka. It combines the results of package ops with measurements over the last
// minutes: rates, lags and latencies.
package browse

// Package connect is a client for the REST interface of a Kafka Connect worker: it lists, describes and changes
// connectors.
//
// A worker refuses changes while its group rebalances; calls retry until their context ends. Results have values masked
// that look like secrets. References to secrets that are stored elsewhere (${file:...}) are not masked.
package connect

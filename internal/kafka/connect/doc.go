// Package connect asks a Kafka Connect worker over its REST interface: which
// connectors run, what they are set to, and to change that.
//
// A worker refuses work while its group rebalances; calls try again until their
// context ends. Values that look like secrets are masked in what is returned,
// references to secrets kept elsewhere (${file:...}) are not.
package connect

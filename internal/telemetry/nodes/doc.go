// Package nodes reads which nodes of smartlb are there, from smartlb-node-status. Any client may write to that topic: the
// number of nodes and their texts are bounded, and a node with a valid signature is never replaced by one without.
package nodes

// Package nodes reads the current smartlb nodes from smartlb-node-status. Any client may write to that topic. Therefore
// the number of nodes and the size of their texts are limited. A node with a valid signature is never replaced by a
// node without a signature.
package nodes

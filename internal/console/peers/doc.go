// Package peers queries the admin APIs of other nodes, so that the console of one node shows the data of another node's
// proxy.
package peers

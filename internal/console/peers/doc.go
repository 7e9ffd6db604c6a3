// Package peers queries the admin APIs of other nodes, so that the console of one node shows the data of another node's
// proxy. It decides which node gets the token; apiclient makes the calls.
package peers

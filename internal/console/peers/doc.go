// Package peers queries the admin APIs of other nodes, so that the console of one node shows the data of another node's
// proxy. [Proxies] finds the proxies of a cluster and asks the first that responds. [Client] decides which node gets the
// token; apiclient makes the calls.
package peers

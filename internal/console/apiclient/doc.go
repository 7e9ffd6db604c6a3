// Package apiclient calls the HTTP API of nodes. Commands, and nodes that show the data of another node, use the same
// client. It bounds the time and the size of each response, it does not follow redirects, and each of its errors has a
// code of package problem.
package apiclient

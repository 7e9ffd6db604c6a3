// Package peers asks other nodes' admin APIs: the console of one node shows what a proxy of another knows.
package peers

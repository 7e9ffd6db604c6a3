// Package guard limits the harm that the proxy can do to a service during failures and overload. It holds the retry budget,
// the limit of requests in flight with its queue ([Gate]), the search for that limit ([Adaptive]), the memory of this process ([Memory]), and Shortage, which prevents a lack of this process's own
// resources from being charged to instances. Nothing here blocks or reads a clock.
package guard

// Package guard limits the harm that the proxy can do to a service during failures. It holds the retry budget and
// Shortage. Shortage prevents a lack of this process's own resources from being charged to instances. The limits are
// computed from counters that other packages keep. Nothing here blocks or reads a clock.
package guard

// Package guard limits what the proxy does to a service when things go wrong:
// the retry budget, and Shortage, which keeps what this process itself lacks
// from being charged to instances. Limits are decisions over counters that live
// elsewhere; nothing here blocks or reads a clock.
package guard

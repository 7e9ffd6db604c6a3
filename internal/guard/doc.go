// Package guard limits what the proxy does to a service when things go wrong:
// today the retry budget. Limits are decisions over counters that live
// elsewhere; nothing here blocks, allocates or reads a clock.
package guard

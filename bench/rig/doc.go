// Package rig is what the benchmarks stand on: it starts the contenders as
// processes of its own, reads their CPU and memory from /proc, and writes down
// what was measured with which versions. Linux only.
package rig

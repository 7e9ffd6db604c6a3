// Package e2e starts the real binary as real processes and checks what a user
// was promised. TestMain builds it once; every test has its own ports and
// folders, talks to loopback only, and ends what it started.
package e2e

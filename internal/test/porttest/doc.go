// Package porttest gives tests two kinds of TCP address. The first are ports that a test must know before a process
// listens on them, for example because the process restarts on the same address. The second are addresses that refuse
// connections. Tests that can listen on port 0 do not need it. Only tests use it.
package porttest

// Package porttest gives tests TCP ports that have to be known before somebody
// listens on them, as those of a process that is started again on its address,
// and addresses at which nobody listens. Whoever can listen on port 0 does that
// instead. Only tests use it.
package porttest

// Package crash checks what the embedded broker promised, over kills.
//
// It starts the real program, keeps it under load from producers of several
// kinds, committing groups, deletions and transactions, kills it with SIGKILL
// at random moments, starts it again on the same directory and compares what is
// there with what had been acknowledged. Clients live on over the kills, as
// those of users do.
//
//	go test ./test/crash                              50 kills, one seed
//	go test ./test/crash -kills 1000 -seed 7 -v       as make soak does
//
// The ledger is the model: every acknowledged record with its offset, every
// record that a reader has seen, every acknowledged commit, log start and
// transaction. The checks after each kill are in verify_test.go.
package crash

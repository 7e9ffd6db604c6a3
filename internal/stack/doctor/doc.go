// Package doctor says what is wrong with a Kafka setup and how to fix it.
//
// [Gather] looks: it dials, asks, resolves names and reads the state folder,
// and writes down what it found as [Facts], without judging. [Examine] judges:
// a pure function from facts to a [Report] of checks, each with what was found,
// its cause and its fix. Commands print the report; the API can send it as it
// is. Nothing here changes anything.
//
// A new rule is a function in rules.go over facts that Gather already has; its
// test breaks a real setup in that way (doctor_test.go).
package doctor

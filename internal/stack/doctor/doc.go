// Package doctor finds problems of a Kafka setup and explains how to fix them.
//
// [Gather] collects: it dials, sends requests, resolves names and reads the state folder, and returns what it found as
// [Facts], without judging. [Examine] judges: a pure function from facts to a [Report] of checks, each with its
// finding, its cause and its fix. Commands print the report; the API can send it unchanged. This package changes
// nothing.
//
// A new rule is a function in rules.go over facts that Gather already collects. Its test breaks a real setup
// accordingly (doctor_test.go).
package doctor

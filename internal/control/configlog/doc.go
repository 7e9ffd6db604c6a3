// Package configlog keeps a node's configuration equal to the log config-updates. A node that loses the log continues
// to serve.
//
// [State] is the fold of the topic from its first record. A full revision applies if and only if its base is the
// current revision, or if it adopts the log. The first revision in log order therefore wins on every node, and the
// loser learns the name of the winner. Overrides (drain, undrain, weight) always apply.
//
// [Control] runs the fold on a node. It immediately serves the last good configuration from disk (or the file). Then it
// follows the log and passes each winning revision to the data plane. If the log is lost, it keeps the served
// configuration. machine.go holds both decisions as tables; docs/design/configuration-log.md explains them.
//
// [Publish] and [Load] write and read the log for CLI and console. The rules about changes that are not written yet are
// methods of [Change] and [State]: Check, Judge, Find, DocumentOf, Rollback.
//
// The fold depends only on the base. A node that refuses a revision keeps its old configuration and reports the
// refusal; later revisions still build on the refused revision.
package configlog

// Package configlog keeps a node's configuration equal to the log of
// config-updates, and never lets a node without that log stop serving.
//
// [State] is the fold of the topic from its first record: a full revision
// applies iff its base is the current one, so the first in log order wins on
// every node and the loser learns the winner's name; overrides (drain, undrain,
// weight) always apply. [Control] runs the fold on a node: it serves the last
// good configuration from disk (or the file) at once, follows the log, hands
// what wins to the data plane, and keeps what it serves when the log is lost.
// [Publish] and [Load] are the writers' and readers' side for CLI and console.
//
// The fold goes by base alone: a node that refuses a revision keeps its old
// configuration and says so, and the revision is still what later ones build on.
package configlog

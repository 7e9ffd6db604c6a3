package configlog

import "github.com/smartlb/smartlb/internal/event"

// A node's configuration is two state machines, and these tables are all of them. place says whether the node follows
// the log; the state of event.NodeStatus says which configuration the node serves. docs/design/configuration-log.md shows
// the tables, and TestTheTablesAreOnTheirPage compares them.

// place is where a node is in the log.
type place int

const (
	reading     place = iota // before the first end of the log
	readingLost              // before the first end, and a reset has shown another log
	following                // the log is this node's log: it applies the log's configuration
	lost                     // the log is not this node's log: it keeps its configuration
	places
)

// sight is what a node sees of the log. Each has two forms, own and other: whether the log is the log of the last good
// configuration. Without a last good configuration, every log is the node's own.
type sight int

const (
	records sight = iota // records were folded
	end                  // the first end of the log was reached
	reset                // the topic was recreated, or came back shorter: the fold begins again
	sights
)

// action is what a node does after a step.
type action int

const (
	wait     action = iota // nothing
	follow                 // put the overrides of the log into effect, serve its current revision, save the result
	report                 // log the loss, once
	apply                  // parse and apply the document of the revision
	confirm                // nothing changes but the state: the node serves this revision already
	announce               // log the result and tell Config.Changed
)

type move struct {
	to place
	do action
}

var moves = [places][sights]struct{ own, other move }{
	reading: {
		records: {own: move{reading, wait}, other: move{reading, wait}},
		end:     {own: move{following, follow}, other: move{lost, report}},
		reset:   {own: move{reading, wait}, other: move{readingLost, report}},
	},
	readingLost: {
		records: {own: move{readingLost, wait}, other: move{readingLost, wait}},
		end:     {own: move{following, follow}, other: move{lost, wait}},
		reset:   {own: move{readingLost, wait}, other: move{readingLost, wait}},
	},
	following: {
		records: {own: move{following, follow}, other: move{lost, report}},
		end:     {own: move{following, follow}, other: move{lost, report}},
		reset:   {own: move{following, wait}, other: move{lost, report}},
	},
	lost: {
		records: {own: move{following, follow}, other: move{lost, wait}},
		end:     {own: move{following, follow}, other: move{lost, wait}},
		reset:   {own: move{lost, wait}, other: move{lost, wait}},
	},
}

// lostLog reports whether the node has seen that the log is not its own.
func (p place) lostLog() bool { return p == readingLost || p == lost }

// turn is an event that concerns the served configuration.
type turn int

const (
	lastGoodTaken   turn = iota // the last good configuration was applied, at the start
	fileTaken                   // the node's file was applied, at the start or after it changed
	sameRevision                // the log's current revision is new to this node, and has the name of the served revision
	otherRevision               // the log's current revision is new to this node
	revisionApplied             // its document was applied
	revisionRefused             // its document was refused, by the parser or by the data plane
	turns
)

type step struct {
	to string // event.ConfigNone, ConfigLKG, ConfigApplied or ConfigRefused
	do action
}

// Only the last good configuration is confirmed by its name: it came from this log, and the node applied it. Every other
// new revision is applied, even if a node that refused a later revision still serves it.
var steps = map[string][turns]step{
	event.ConfigNone: {
		lastGoodTaken: {event.ConfigLKG, wait}, fileTaken: {event.ConfigApplied, wait},
		sameRevision: {event.ConfigNone, apply}, otherRevision: {event.ConfigNone, apply},
		revisionApplied: {event.ConfigApplied, announce}, revisionRefused: {event.ConfigRefused, announce},
	},
	event.ConfigLKG: {
		lastGoodTaken: {event.ConfigLKG, wait}, fileTaken: {event.ConfigApplied, wait},
		sameRevision: {event.ConfigApplied, confirm}, otherRevision: {event.ConfigLKG, apply},
		revisionApplied: {event.ConfigApplied, announce}, revisionRefused: {event.ConfigRefused, announce},
	},
	event.ConfigApplied: {
		lastGoodTaken: {event.ConfigLKG, wait}, fileTaken: {event.ConfigApplied, wait},
		sameRevision: {event.ConfigApplied, apply}, otherRevision: {event.ConfigApplied, apply},
		revisionApplied: {event.ConfigApplied, announce}, revisionRefused: {event.ConfigRefused, announce},
	},
	event.ConfigRefused: {
		lastGoodTaken: {event.ConfigLKG, wait}, fileTaken: {event.ConfigApplied, wait},
		sameRevision: {event.ConfigRefused, apply}, otherRevision: {event.ConfigRefused, apply},
		revisionApplied: {event.ConfigApplied, announce}, revisionRefused: {event.ConfigRefused, announce},
	},
}

// look moves the node by what it sees of the log, and returns the action. The caller holds the lock.
func (c *Control) look(s sight) action {
	cell, why := moves[c.place][s], c.mismatch()
	m := cell.own
	if why != "" {
		m = cell.other
	}
	c.place = m.to
	if m.do == report {
		c.cfg.Log.Error("config-updates is not the log this node followed: it keeps its last good configuration until `smartlb config apply --adopt`",
			"reason", why, "revision", c.st.Revision)
	}
	return m.do
}

// turn changes the state of the served configuration, and returns the action. The caller holds the lock.
func (c *Control) turn(t turn) action {
	s := steps[c.st.State][t]
	c.st.State = s.to
	return s.do
}

package configlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Config of a Control.
type Config struct {
	Kafka    kafka.Config
	Dir      string // directory of the last good configuration; empty: not stored
	File     []byte // Traffic document of the node's file; empty: none
	FileName string
	FileOnly bool // revisions are ignored, overrides still apply
	Author   string
	Node     string
	Log      *slog.Logger

	// Apply puts a checked configuration into effect. After an error the old configuration stays.
	Apply func(t config.Traffic, revision string) error
	// Override replaces the overrides in effect.
	Override func([]event.Override)
	// Challenges replaces the challenges of the log, oldest first. It may be nil. It is called after each batch of
	// records, and must not block.
	Challenges func([]Challenge)
	// Unsigned is called for each record that is not applied because no known key signed it. It may be nil.
	Unsigned func()
	// Changed is called after a new current revision, whether this node applied or refused it.
	Changed func(Outcome)
}

// Outcome is the result of a revision on this node.
type Outcome struct {
	Revision, Previous, Author string
	Comment                    string // the author's comment
	Err                        error  // nil: applied
}

// Status is the configuration state of a node.
type Status struct {
	State           string // event.ConfigApplied, Refused, LKG or None
	Revision        string // the served revision
	Current         string // the log's current revision
	RefusedRevision string
	Errors          []string
	Overrides       []event.Override
	Silences        []Silence
	LostLog         bool
	Connected       bool
}

// Control follows the log for one node.
type Control struct {
	cfg    Config
	parse  func(document []byte) (config.Traffic, error)
	mu     sync.Mutex
	log    State
	good   *lastGood // the state of the log when this node last followed it; nil before the first time
	seen   bool      // the log contains the revision of good
	place  place     // where this node is in the log
	tried  string    // the log's revision that was last applied, confirmed or refused
	st     Status
	tail   *kafka.Tail
	saving chan struct{} // closed when the current save ends; nil: no save is running

	base        []event.Override // overrides in effect according to the log or the last good configuration
	local       []*localChange   // made on this node, applied after base
	wake        chan struct{}    // wakes Tend
	savingLocal sync.Mutex       // locked before mu
	now         func() time.Time
}

// New reads the last good configuration. It does not connect and does not apply anything.
func New(cfg Config) (*Control, error) {
	good, err := loadLastGood(cfg.Dir)
	if err != nil {
		return nil, err
	}
	local, err := loadLocal(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Control{
		cfg: cfg, parse: config.ParseTraffic, good: good, st: Status{State: event.ConfigNone},
		local: local, wake: make(chan struct{}, 1), now: time.Now,
	}, nil
}

// Start applies the configuration that the node can serve without Kafka: the last good configuration, otherwise the
// file. It returns the error of the file if the node has no other configuration.
func (c *Control) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good != nil {
		c.base = c.good.Overrides
	}
	c.putOverrides(c.now())
	if g := c.good; g != nil {
		if taken, err := c.takeLastGood(g); taken || err != nil {
			return err
		}
	}
	if len(c.cfg.File) == 0 {
		return nil
	}
	if err := c.take(string(c.cfg.File), "file"); err != nil {
		return err
	}
	c.turn(fileTaken)
	c.st.Revision = "file"
	return nil
}

// Resume reads the directory again, after another process of this node has written to it, and applies what has changed.
// Call it after Start, and before Run or Tend.
func (c *Control) Resume() error {
	good, err := loadLastGood(c.cfg.Dir)
	if err != nil {
		return err
	}
	local, err := loadLocal(c.cfg.Dir)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.good
	c.good, c.local = good, local
	if good != nil {
		c.base = good.Overrides
	}
	c.putOverrides(c.now())
	if good == nil || before != nil && before.Revision == good.Revision && before.Document == good.Document {
		return nil
	}
	_, err = c.takeLastGood(good)
	return err
}

// takeLastGood serves the last good configuration. If this version does not accept it, takeLastGood logs that and
// continues without it. An address in use by another process is an error, as it is for a file: the node would start but
// serve no clients.
func (c *Control) takeLastGood(g *lastGood) (bool, error) {
	if g.Document == "" || c.cfg.FileOnly {
		return false, nil
	}
	if err := c.take(g.Document, g.Revision); err != nil {
		var address *net.OpError
		if errors.As(err, &address) {
			return false, fmt.Errorf("last good configuration, revision %s: %w", g.Revision, err)
		}
		c.cfg.Log.Error("last good configuration refused", "revision", g.Revision, "error", err)
		return false, nil
	}
	c.turn(lastGoodTaken)
	c.st.Revision = g.Revision
	return true, nil
}

// Run follows the log until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	tc := kafka.TailConfig{
		Topics:  []string{event.TopicConfigUpdates},
		Refresh: 2 * time.Second,
		OnReset: func(string, kafka.ResetReason) { c.forget() },
	}
	caughtUp := make(chan struct{}, 1)
	tc.OnCaughtUp = func() { c.catchUp(); caughtUp <- struct{}{} }
	tail, err := kafka.NewTail(c.cfg.Kafka, tc, c.cfg.Log)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.tail = tail
	c.mu.Unlock()
	tending := make(chan struct{})
	go func() {
		defer close(tending)
		_ = c.Tend(ctx) // returns only when ctx ends
	}()
	defer func() { <-tending }()
	seeding := make(chan struct{})
	go func() {
		defer close(seeding)
		select {
		case <-ctx.Done():
		case <-caughtUp:
			c.seed(ctx)
		}
	}()
	defer func() { <-seeding }()
	return tail.Run(ctx, c.handle)
}

// handle folds a batch of records. Once the log was read to its end, it applies the current revision, so the revisions
// in between are never served after a start. It decodes records and parses documents without the lock, because status
// requests need the lock.
func (c *Control) handle(batch []kafka.Record) {
	updates := make([]Update, len(batch))
	for i, r := range batch {
		updates[i] = Read(c.cfg.Kafka, r)
		if err := updates[i].refused(); err != nil {
			c.cfg.Kafka.Skips.Add(r, err.Error(), c.cfg.Log)
		}
		if updates[i].Writer.Refused() && c.cfg.Unsigned != nil {
			c.cfg.Unsigned()
		}
	}
	if c.fold(updates) == follow {
		c.settle()
	}
}

// fold folds records and returns what to do then.
func (c *Control) fold(updates []Update) action {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range updates {
		if c.log.Fold(u) {
			c.folded(u)
		}
		c.returned(u.ChangeID)
	}
	return c.look(records)
}

// folded handles a record that became current. A record that adopts the log makes this node follow the log, unless the
// node knew the record before the log was lost.
func (c *Control) folded(u Update) {
	g := c.good
	if g == nil {
		return
	}
	c.seen = c.seen || c.log.Revision == g.Revision
	if u.Adopt && (u.Offset >= g.NextOffset || !c.sameTopic()) {
		c.good, c.seen = nil, false
	}
}

// catchUp is called when the log was read to its end for the first time.
func (c *Control) catchUp() {
	c.mu.Lock()
	do := c.look(end)
	c.mu.Unlock()
	if do == follow {
		c.settle()
	}
}

// settle makes the node serve what the log says, and saves the result. Only the goroutine that reads the log calls it,
// so the log does not change while a document is parsed.
func (c *Control) settle() {
	document := c.next()
	var t config.Traffic
	var err error
	if document != "" {
		t, err = c.read(document)
	}
	c.mu.Lock()
	if document != "" {
		c.revise(t, err)
	}
	g := c.keep()
	c.mu.Unlock()
	c.save(g)
}

// next puts the log's overrides into effect and returns the document to apply, empty if there is none.
func (c *Control) next() (document string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = slices.Clone(c.log.Overrides) // the fold changes its own lists in place
	c.putOverrides(c.now())
	if c.cfg.Challenges != nil {
		c.cfg.Challenges(slices.Clone(c.log.Challenges))
	}
	if c.cfg.FileOnly || c.log.Revision == "" || c.log.Revision == c.tried {
		return ""
	}
	c.tried = c.log.Revision
	seen := otherRevision
	if c.log.Revision == c.st.Revision {
		seen = sameRevision
	}
	if c.turn(seen) == apply {
		document = c.log.Document
	}
	return document
}

// mismatch returns why the log is not the log of the last good configuration. It returns "" if it is the same log, or if
// there is nothing to compare it with.
func (c *Control) mismatch() string {
	g := c.good
	switch {
	case g == nil || g.NextOffset == 0:
		return ""
	case !c.sameTopic():
		return "the topic is another one"
	case c.log.NextOffset == 0:
		return "it is empty"
	case c.log.NextOffset < g.NextOffset:
		return fmt.Sprintf("it ends at offset %d, and was read to %d before", c.log.NextOffset, g.NextOffset)
	case g.Revision != "" && !c.seen:
		if c.cfg.Kafka.Signing.On() {
			return fmt.Sprintf("it does not hold revision %s signed by a known key", g.Revision)
		}
		return fmt.Sprintf("it does not hold revision %s", g.Revision)
	}
	return ""
}

func (c *Control) sameTopic() bool {
	id := c.tail.TopicIDs()[event.TopicConfigUpdates]
	return id == "" || c.good.TopicID == "" || id == c.good.TopicID
}

// revise applies the log's current revision, whose document has been parsed.
func (c *Control) revise(t config.Traffic, parsed error) {
	revision, before := c.log.Revision, c.st.Revision
	current, _ := c.log.Find(revision) // an error only if the history was dropped: then author and comment are unknown
	err := parsed
	if err == nil {
		err = c.apply(t, revision)
	}
	if err != nil {
		c.turn(revisionRefused)
		c.st.RefusedRevision, c.st.Errors = revision, []string{err.Error()}
		c.cfg.Log.Error("configuration refused, the old one stays", "revision", revision, "author", current.Author, "offset", current.Offset, "serving", c.st.Revision, "error", err)
	} else {
		c.turn(revisionApplied)
		c.st = Status{State: c.st.State, Revision: revision, Overrides: c.st.Overrides}
		c.cfg.Log.Info("configuration applied", "revision", revision, "author", current.Author)
	}
	if c.cfg.Changed != nil {
		c.cfg.Changed(Outcome{Revision: revision, Previous: before, Author: current.Author, Comment: current.Comment, Err: err})
	}
}

// take parses and applies a document before the node follows the log.
func (c *Control) take(document, revision string) error {
	t, err := c.read(document)
	if err != nil {
		return err
	}
	return c.apply(t, revision)
}

// read parses a document. A panic is treated as an error of the document: the node continues to serve its
// configuration, also after its next start.
func (c *Control) read(document string) (t config.Traffic, err error) {
	defer refusePanic(&err)
	return c.parse([]byte(document))
}

func (c *Control) apply(t config.Traffic, revision string) (err error) {
	defer refusePanic(&err)
	return c.cfg.Apply(t, revision)
}

func refusePanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("this version cannot take the document: panic: %v", p)
	}
}

// keep returns the last good configuration to save, nil if the log is empty. It holds the served configuration if that
// came from the log, otherwise the previous one from the log. It also holds the end offset of the log.
func (c *Control) keep() *lastGood {
	if c.log.NextOffset == 0 {
		return nil
	}
	g := lastGood{
		ClusterID: c.tail.ClusterID(), TopicID: c.tail.TopicIDs()[event.TopicConfigUpdates],
		NextOffset: c.log.NextOffset, Overrides: c.base,
	}
	if c.st.Revision == c.log.Revision {
		g.Revision, g.Document = c.log.Revision, c.log.Document
	} else if c.good != nil {
		g.Revision, g.Document = c.good.Revision, c.good.Document
	}
	c.good, c.seen = &g, true
	c.saving = make(chan struct{})
	return &g
}

// save writes the last good configuration; nil means nothing to save. The goroutine that follows the log calls it
// without the lock, because status requests and the stop need the lock.
func (c *Control) save(g *lastGood) {
	if g == nil {
		return
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.saving)
		c.saving = nil
	}()
	if err := g.save(c.cfg.Dir); err != nil {
		c.cfg.Log.Error("last good configuration not saved", "error", err)
	}
}

// forget restarts the fold after the topic was recreated or came back shorter. The served configuration stays until an
// operator adopts the new log, or the known log comes back.
func (c *Control) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log, c.seen = State{}, false
	c.look(reset)
}

// seed publishes the node's file into an empty log, once. It does not publish if the node holds a last good
// configuration: an empty log is then a lost log.
func (c *Control) seed(ctx context.Context) {
	c.mu.Lock()
	empty := c.log.NextOffset == 0 || c.cfg.Kafka.Signing.On() && c.log.Revision == "" // unsigned records do not count as content of a log that requires signatures
	if !empty && len(c.cfg.File) > 0 && !c.cfg.FileOnly && c.log.Document != string(c.cfg.File) {
		c.cfg.Log.Warn("the log's configuration differs from the file's and wins; compare with `smartlb config diff`, publish the file with `smartlb config apply`",
			"file", c.cfg.FileName, "revision", c.log.Revision)
	}
	file := c.cfg.File // Reload may replace it
	first := empty && !c.place.lostLog() && len(file) > 0 && !c.cfg.FileOnly
	c.mu.Unlock()
	if !first {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	revision, err := Publish(ctx, c.cfg.Kafka, Change{
		Document: file, Author: c.cfg.Author, Node: c.cfg.Node, Comment: "first configuration, from " + cut(c.cfg.FileName, maxFileName),
	}, c.cfg.Log)
	if err != nil {
		c.cfg.Log.Warn("first configuration not published", "error", err)
		return
	}
	c.cfg.Log.Info("first configuration published", "revision", revision, "file", c.cfg.FileName)
}

// maxFileName is the length of a file's name in a comment, in bytes.
const maxFileName = 300

// Status returns the configuration state of the node. The caller must not change its lists.
func (c *Control) Status() Status {
	c.awaitDisk()
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.st
	st.Current, st.LostLog = c.log.Revision, c.place.lostLog()
	st.Silences = append([]Silence(nil), c.log.Silences...)
	st.Connected = c.tail != nil && c.tail.Connected()
	return st
}

// saveWait limits how long a status waits for a running save. The displayed status then survives a kill of the
// process, unless the disk hangs.
const saveWait = time.Second

func (c *Control) awaitDisk() {
	c.mu.Lock()
	saving := c.saving
	c.mu.Unlock()
	if saving == nil {
		return
	}
	timer := time.NewTimer(saveWait)
	defer timer.Stop()
	select {
	case <-saving:
	case <-timer.C:
	}
}

// History returns the log's entries, oldest first.
func (c *Control) History() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Entry(nil), c.log.History...)
}

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
	Dir      string // of the last good configuration; empty: not kept
	File     []byte // Traffic document of the node's file; empty: none
	FileName string
	FileOnly bool // revisions are ignored, overrides still apply
	Author   string
	Node     string
	Log      *slog.Logger

	// Apply takes over a checked configuration; an error leaves the old one.
	Apply func(t config.Traffic, revision string) error
	// Override replaces the overrides in force.
	Override func([]event.Override)
	// Unsigned is told of each record that is not applied because no known key
	// signed it; may be nil.
	Unsigned func()
	// Changed is told of a new current revision and whether this node took it.
	Changed func(Outcome)
}

// Outcome is what a node made of a revision.
type Outcome struct {
	Revision, Previous, Author string
	Comment                    string // of its author
	Err                        error  // nil: applied
}

// Status is where a node stands.
type Status struct {
	State           string // event.ConfigApplied, Refused, LKG or None
	Revision        string // that is served
	Current         string // of the log
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
	good   *lastGood // what the log was when this node last agreed with it; nil before the first time
	seen   bool      // the log holds the revision of good
	caught bool      // the log was read to its end once
	tried  string    // the log's revision that was last taken over or refused
	st     Status
	tail   *kafka.Tail
	lost   bool
	saving chan struct{} // closed when what is being saved is; nil: nothing is

	base        []event.Override // what the log, or the last good configuration, has in force
	local       []*localChange   // made on this node, on top of base
	wake        chan struct{}    // for Tend
	savingLocal sync.Mutex       // taken before mu
	now         func() time.Time
}

// New reads the last good configuration; it neither dials nor applies.
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

// Start applies what the node can serve without Kafka: the last good
// configuration, else the file. It returns the error of the file where that is
// all there is.
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
	c.st.State, c.st.Revision = event.ConfigApplied, "file"
	return nil
}

// takeLastGood serves the last good configuration. One that this version does
// not accept is logged and left; an address that another process holds is an
// error, as it is for a file: the node would start and serve nobody.
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
	c.st.State, c.st.Revision = event.ConfigLKG, g.Revision
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
		_ = c.Tend(ctx) // ends with ctx only
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

// handle folds a batch and, once the log was read to its end, takes over what
// is current: on start the revisions in between never serve. Records are
// decoded and documents parsed without the lock, which pages want.
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
	if c.fold(updates) {
		c.settle()
	}
}

// fold says whether the log was read to its end, so that the node follows it.
func (c *Control) fold(updates []Update) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range updates {
		if c.log.Fold(u) {
			c.folded(u)
		}
		c.returned(u.ChangeID)
	}
	return c.caught
}

// folded looks at a record that became current. One that adopts the log makes
// it this node's truth, unless the node knew it before the log was lost.
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
	c.caught = true
	c.mu.Unlock()
	c.settle()
}

// settle makes the node follow the log, if it is the log that it knows, and
// saves what it follows then. Only the goroutine that reads the log calls it,
// so the log does not change while a document is parsed.
func (c *Control) settle() {
	document, ok := c.next()
	if !ok {
		return
	}
	var t config.Traffic
	var err error
	if document != "" {
		t, err = c.read(document)
	}
	c.mu.Lock()
	if document != "" {
		c.follow(t, err)
	}
	g := c.keep()
	c.mu.Unlock()
	c.save(g)
}

// next puts the log's overrides in force and gives the document that is to be
// taken over, empty: none. ok is false where the log is not to be followed.
func (c *Control) next() (document string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if why := c.strange(); why != "" {
		c.lose(why)
		return "", false
	}
	c.lost = false
	c.base = slices.Clone(c.log.Overrides) // the fold changes its own in place
	c.putOverrides(c.now())
	if !c.cfg.FileOnly && c.log.Revision != "" && c.log.Revision != c.tried {
		document = c.log.Document
	}
	return document, true
}

// strange says why the log is not the one that the last good configuration
// came from; empty where it is, or where there is none to compare with.
func (c *Control) strange() string {
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

// follow takes over the log's current revision, whose document was parsed.
func (c *Control) follow(t config.Traffic, parsed error) {
	revision, before := c.log.Revision, c.st.Revision
	c.tried = revision
	if revision == before && c.st.State == event.ConfigLKG {
		c.st.State = event.ConfigApplied // what the disk held is what the log says
		return
	}
	current, _ := c.log.Find(revision)
	err := parsed
	if err == nil {
		err = c.apply(t, revision)
	}
	if err != nil {
		c.st.State, c.st.RefusedRevision, c.st.Errors = event.ConfigRefused, revision, []string{err.Error()}
		c.cfg.Log.Error("configuration refused, the old one stays", "revision", revision, "author", current.Author, "offset", current.Offset, "serving", c.st.Revision, "error", err)
	} else {
		c.st = Status{State: event.ConfigApplied, Revision: revision, Overrides: c.st.Overrides}
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

// read parses a document. A panic is an error of the document: the node goes on
// with what it serves, and so it does at its next start.
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

// keep makes the last good configuration: what is served, if it came from the
// log, else what came from it before; and how far the log goes.
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

// save writes the last good configuration, nil: none. It is called without the
// lock, which pages and the stop want, by the goroutine that follows the log.
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

// forget starts the fold again after the topic was recreated or came back
// shorter; what is served stays until somebody adopts the new log, or the one
// that is known comes back.
func (c *Control) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log, c.seen = State{}, false
	if why := c.strange(); why != "" {
		c.lose(why)
	}
}

func (c *Control) lose(why string) {
	if c.lost {
		return
	}
	c.lost = true
	c.cfg.Log.Error("config-updates is not the log this node followed: it keeps its last good configuration until `smartlb config apply --adopt`",
		"reason", why, "revision", c.st.Revision)
}

// seed publishes the node's file into an empty log, once, unless the node holds
// a last good configuration: then an empty log is a lost one.
func (c *Control) seed(ctx context.Context) {
	c.mu.Lock()
	empty := c.log.NextOffset == 0 || c.cfg.Kafka.Signing.On() && c.log.Revision == "" // strangers fill no log that asks for signatures
	if !empty && len(c.cfg.File) > 0 && !c.cfg.FileOnly && c.log.Document != string(c.cfg.File) {
		c.cfg.Log.Warn("the log's configuration differs from the file's and wins; compare with `smartlb config diff`, publish the file with `smartlb config apply`",
			"file", c.cfg.FileName, "revision", c.log.Revision)
	}
	file := c.cfg.File // Reload may replace it
	first := empty && !c.lost && len(file) > 0 && !c.cfg.FileOnly
	c.mu.Unlock()
	if !first {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	revision, err := Publish(ctx, c.cfg.Kafka, Change{
		Document: file, Author: c.cfg.Author, Node: c.cfg.Node, Comment: "first configuration, from " + c.cfg.FileName,
	}, c.cfg.Log)
	if err != nil {
		c.cfg.Log.Warn("first configuration not published", "error", err)
		return
	}
	c.cfg.Log.Info("first configuration published", "revision", revision, "file", c.cfg.FileName)
}

// Status tells where the node stands. The caller must not change its lists.
func (c *Control) Status() Status {
	c.awaitDisk()
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.st
	st.Current, st.LostLog = c.log.Revision, c.lost
	st.Silences = append([]Silence(nil), c.log.Silences...)
	st.Connected = c.tail != nil && c.tail.Connected()
	return st
}

// diskPatience is how long a status waits for what is being saved: what people
// see outlives a kill, unless the disk hangs.
const diskPatience = time.Second

func (c *Control) awaitDisk() {
	c.mu.Lock()
	saving := c.saving
	c.mu.Unlock()
	if saving == nil {
		return
	}
	timer := time.NewTimer(diskPatience)
	defer timer.Stop()
	select {
	case <-saving:
	case <-timer.C:
	}
}

// History gives the log's entries, oldest first.
func (c *Control) History() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Entry(nil), c.log.History...)
}

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/config"
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
	// Changed is told of a new current revision and whether this node took it.
	Changed func(Outcome)
}

// Outcome is what a node made of a revision.
type Outcome struct {
	Revision, Previous, Author string
	Err                        error // nil: applied
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
}

// New reads the last good configuration; it neither dials nor applies.
func New(cfg Config) (*Control, error) {
	good, err := loadLastGood(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Control{cfg: cfg, good: good, st: Status{State: event.ConfigNone}}, nil
}

// Start applies what the node can serve without Kafka: the last good
// configuration, else the file. It returns the error of the file where that is
// all there is.
func (c *Control) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.good; g != nil {
		c.st.Overrides = g.Overrides
		c.cfg.Override(g.Overrides)
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
// is current: on start the revisions in between never serve.
func (c *Control) handle(batch []kafka.Record) { c.save(c.fold(batch)) }

// fold is handle but for the disk: it returns what is to be saved.
func (c *Control) fold(batch []kafka.Record) *lastGood {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range batch {
		if c.log.Fold(r.Offset, r.Value) {
			c.folded(r)
		}
	}
	if !c.caught {
		return nil
	}
	return c.settle()
}

// folded looks at a record that became current. One that adopts the log makes
// it this node's truth, unless the node knew it before the log was lost.
func (c *Control) folded(r kafka.Record) {
	g := c.good
	if g == nil {
		return
	}
	c.seen = c.seen || c.log.Revision == g.Revision
	if u, err := event.DecodeConfigUpdate(r.Value); err == nil && u.Adopt && (r.Offset >= g.NextOffset || !c.sameTopic()) {
		c.good, c.seen = nil, false
	}
}

// catchUp is called when the log was read to its end for the first time.
func (c *Control) catchUp() {
	c.mu.Lock()
	c.caught = true
	g := c.settle()
	c.mu.Unlock()
	c.save(g)
}

// settle makes the node follow the log, if it is the log that it knows, and
// returns what is to be saved then.
func (c *Control) settle() *lastGood {
	if why := c.strange(); why != "" {
		c.lose(why)
		return nil
	}
	c.lost = false
	c.st.Overrides = slices.Clone(c.log.Overrides) // the fold changes its own in place
	c.cfg.Override(c.st.Overrides)
	if !c.cfg.FileOnly && c.log.Revision != "" && c.log.Revision != c.tried {
		c.follow()
	}
	return c.keep()
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
		return fmt.Sprintf("it does not hold revision %s", g.Revision)
	}
	return ""
}

func (c *Control) sameTopic() bool {
	id := c.tail.TopicIDs()[event.TopicConfigUpdates]
	return id == "" || c.good.TopicID == "" || id == c.good.TopicID
}

// follow takes over the log's current revision.
func (c *Control) follow() {
	revision, before := c.log.Revision, c.st.Revision
	c.tried = revision
	if revision == before && c.st.State == event.ConfigLKG {
		c.st.State = event.ConfigApplied // what the disk held is what the log says
		return
	}
	current, _ := c.log.Find(revision)
	err := c.take(c.log.Document, revision)
	if err != nil {
		c.st.State, c.st.RefusedRevision, c.st.Errors = event.ConfigRefused, revision, []string{err.Error()}
		c.cfg.Log.Error("configuration refused, the old one stays", "revision", revision, "serving", c.st.Revision, "error", err)
	} else {
		c.st = Status{State: event.ConfigApplied, Revision: revision, Overrides: c.st.Overrides}
		c.cfg.Log.Info("configuration applied", "revision", revision, "author", current.Author)
	}
	if c.cfg.Changed != nil {
		c.cfg.Changed(Outcome{Revision: revision, Previous: before, Author: current.Author, Err: err})
	}
}

func (c *Control) take(document, revision string) error {
	t, err := config.ParseTraffic([]byte(document))
	if err != nil {
		return err
	}
	return c.cfg.Apply(t, revision)
}

// keep makes the last good configuration: what is served, if it came from the
// log, else what came from it before; and how far the log goes.
func (c *Control) keep() *lastGood {
	if c.log.NextOffset == 0 {
		return nil
	}
	g := lastGood{
		ClusterID: c.tail.ClusterID(), TopicID: c.tail.TopicIDs()[event.TopicConfigUpdates],
		NextOffset: c.log.NextOffset, Overrides: c.st.Overrides,
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
	empty := c.log.NextOffset == 0
	if !empty && len(c.cfg.File) > 0 && !c.cfg.FileOnly && c.log.Document != string(c.cfg.File) {
		c.cfg.Log.Warn("the log's configuration differs from the file's and wins; compare with `smartlb config diff`, publish the file with `smartlb config apply`",
			"file", c.cfg.FileName, "revision", c.log.Revision)
	}
	first := empty && !c.lost && len(c.cfg.File) > 0 && !c.cfg.FileOnly
	c.mu.Unlock()
	if !first {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	revision, err := Publish(ctx, c.cfg.Kafka, Change{
		Document: c.cfg.File, Author: c.cfg.Author, Node: c.cfg.Node, Comment: "first configuration, from " + c.cfg.FileName,
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

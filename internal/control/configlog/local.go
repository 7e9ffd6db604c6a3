package configlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/event"
)

// maxLocal limits the changes that wait to be published.
const maxLocal = 1000

const (
	publishWait = 2 * time.Second  // how long the author of a change waits
	sendTimeout = 10 * time.Second // of one attempt to publish
	seenWithin  = time.Minute      // after this time a published change that did not come back is no longer kept here
)

// Errors of Override.
var (
	ErrTooManyChanges = errors.New("too many changes wait to be published")
	ErrNotKept        = errors.New("in effect, but not kept on disk")
)

// localChange is an override made on this node that has not come back over the log yet. It is in effect on this node
// immediately.
type localChange struct {
	event.ConfigUpdate
	sentAt time.Time     // zero: not published yet
	done   chan struct{} // closed when it is published
}

// Applied is the result of an override.
type Applied struct {
	Published bool // other nodes apply it; if false, it is published when Kafka is available
	Alone     bool // this node runs without Kafka: there are no other nodes
}

// Override puts an override into effect on this node immediately, stores it on disk and publishes it, now or when Kafka
// is available. It waits at most two seconds for the publication. An error other than ErrNotKept means that nothing
// changed.
func (c *Control) Override(ctx context.Context, o event.Override, author, reason string) (Applied, error) {
	now := c.now()
	l := &localChange{done: make(chan struct{}), ConfigUpdate: event.ConfigUpdate{
		ChangeID: randomHex(8), Timestamp: now.UTC(), Author: author, Node: c.cfg.Node, Kind: event.KindOverride, Comment: reason, Override: o,
	}}
	if err := errors.Join(l.Validate(), CheckOverride(o)); err != nil {
		return Applied{}, err
	}
	c.mu.Lock()
	c.local = slices.DeleteFunc(c.local, func(before *localChange) bool { // the latest override counts
		return before.sentAt.IsZero() && sameOverride(before.Override, o)
	})
	if len(c.local) >= maxLocal {
		c.mu.Unlock()
		return Applied{}, ErrTooManyChanges
	}
	c.local = append(c.local, l)
	c.putOverrides(now)
	alone := len(c.cfg.Kafka.Brokers) == 0
	c.mu.Unlock()
	err := c.saveLocal()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	if alone {
		return Applied{Alone: true}, err
	}
	c.wakePublisher()
	timer := time.NewTimer(publishWait)
	defer timer.Stop()
	select {
	case <-l.done:
		return Applied{Published: true}, err
	case <-timer.C:
	case <-ctx.Done():
	}
	return Applied{}, err
}

// putOverrides puts into effect the overrides of the log and the later overrides of this node, except those that have
// ended. The caller holds the lock.
func (c *Control) putOverrides(now time.Time) {
	list := overrides(slices.Clone(c.base))
	for _, l := range c.local {
		list, _ = list.with(attributed(l.ConfigUpdate))
	}
	c.st.Overrides = list.at(now)
	c.cfg.Override(c.st.Overrides)
}

// Tend ends overrides when their time has passed and publishes the overrides made on this node, until ctx ends. A node
// without Kafka only needs Tend.
func (c *Control) Tend(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	failures, next := 0, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-c.wake:
			next = time.Time{}
		}
		c.endOverrides()
		if now := c.now(); len(c.cfg.Kafka.Brokers) > 0 && !now.Before(next) {
			if err := c.publishLocal(ctx); err != nil {
				failures++
				next = now.Add(backoff.Default().Delay(failures, rand.Float64()))
				c.cfg.Log.Warn("overrides of this node are in effect and not published yet", "error", err)
				continue
			}
			failures = 0
		}
	}
}

// endOverrides removes overrides that have ended.
func (c *Control) endOverrides() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.st.Overrides, func(o event.Override) bool { return ended(o, now) }) {
		c.putOverrides(now)
	}
	c.local = slices.DeleteFunc(c.local, func(l *localChange) bool { return !l.sentAt.IsZero() && now.Sub(l.sentAt) > seenWithin })
}

// publishLocal publishes the waiting changes in order. It stops at the first error.
func (c *Control) publishLocal(ctx context.Context) error {
	for {
		c.mu.Lock()
		i := slices.IndexFunc(c.local, func(l *localChange) bool { return l.sentAt.IsZero() })
		if i < 0 {
			c.mu.Unlock()
			return nil
		}
		l := c.local[i]
		c.mu.Unlock()
		attempt, cancel := context.WithTimeout(ctx, sendTimeout)
		err := send(attempt, c.cfg.Kafka, l.ConfigUpdate, c.cfg.Log)
		cancel()
		if err != nil {
			return err
		}
		c.mu.Lock()
		l.sentAt = c.now()
		c.mu.Unlock()
		close(l.done)
		if err := c.saveLocal(); err != nil {
			c.cfg.Log.Error("overrides of this node not kept on disk", "error", err)
		}
	}
}

// returned records that a change of this node came back over the log. The caller holds the lock.
func (c *Control) returned(changeID string) {
	c.local = slices.DeleteFunc(c.local, func(l *localChange) bool { return l.ChangeID == changeID })
}

func (c *Control) wakePublisher() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// localFile holds the overrides that were made on this node and are not published yet.
const localFile = "unpublished-overrides.json"

// saveLocal writes the unpublished changes to disk. Only one call writes at a time.
func (c *Control) saveLocal() error {
	if c.cfg.Dir == "" {
		return nil
	}
	c.savingLocal.Lock()
	defer c.savingLocal.Unlock()
	c.mu.Lock()
	list := []event.ConfigUpdate{}
	for _, l := range c.local {
		if l.sentAt.IsZero() {
			list = append(list, l.ConfigUpdate)
		}
	}
	c.mu.Unlock()
	path := filepath.Join(c.cfg.Dir, localFile)
	if len(list) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	lines := make([]json.RawMessage, len(list))
	for i, u := range list {
		lines[i] = u.AppendJSON(nil)
	}
	raw, err := json.Marshal(lines)
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, raw, 0o600)
}

// loadLocal reads the changes that an earlier process could not publish.
func loadLocal(dir string) ([]*localChange, error) {
	if dir == "" {
		return nil, nil
	}
	path := filepath.Join(dir, localFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var lines []json.RawMessage
	if err == nil {
		err = json.Unmarshal(raw, &lines)
	}
	if err != nil {
		return nil, fmt.Errorf("unpublished overrides %s: %w (move the file away to start without them)", path, err)
	}
	var out []*localChange
	for _, line := range lines {
		u, err := read(line)
		if err != nil {
			return nil, fmt.Errorf("unpublished overrides %s: %w (move the file away to start without them)", path, err)
		}
		out = append(out, &localChange{ConfigUpdate: u, done: make(chan struct{})})
	}
	return out[:min(len(out), maxLocal)], nil
}

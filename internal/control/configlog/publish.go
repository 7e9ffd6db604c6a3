package configlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// ErrLost is returned if another change won. The error names the winner.
var ErrLost = errors.New("another change was first")

// Load folds the log from its beginning to its current end.
func Load(ctx context.Context, cfg kafka.Config, log *slog.Logger) (State, error) {
	if err := kafka.CheckConnection(ctx, cfg); err != nil { // a reader retries until ctx ends, and then does not know why
		return State{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var s State
	caughtUp := false
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{
		Topics:     []string{event.TopicConfigUpdates},
		OnCaughtUp: func() { caughtUp = true; cancel() },
	}, log)
	if err != nil {
		return State{}, err
	}
	err = tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			s.Fold(Read(cfg, r))
		}
	})
	if err == nil && !caughtUp {
		err = fmt.Errorf("read %s from %v: %w (is Kafka running? try `smartlb kafka status`)", event.TopicConfigUpdates, cfg.Brokers, context.Cause(ctx))
	}
	return s, err
}

// Publish writes a revision and reads the log again to learn whether it won. It returns the name of the new revision.
// If the revision lost, the error is ErrLost. If the change is not valid, it is that of Change.Check, and nothing was
// written.
func Publish(ctx context.Context, cfg kafka.Config, c Change, log *slog.Logger) (string, error) {
	if err := c.Check(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(c.Document)
	u := event.ConfigUpdate{
		ChangeID: randomHex(8), Timestamp: readable.Moment(time.Now()), Author: c.Author, Node: c.Node, Kind: event.KindRevision,
		Revision: NextRevision(c.Base), Base: c.Base, Comment: c.Comment, Adopt: c.Adopt,
		Document: string(c.Document), SHA256: hex.EncodeToString(sum[:]),
	}
	if err := send(ctx, cfg, u, log); err != nil {
		return "", err
	}
	state, err := Load(ctx, cfg, log)
	if err != nil {
		return u.Revision, fmt.Errorf("revision %s was written, but not read back: %w", u.Revision, err)
	}
	e, err := state.Find(u.Revision)
	if err != nil {
		return u.Revision, fmt.Errorf("revision %s was written, but is not in the log: was the topic recreated?", u.Revision)
	}
	if state.marked && !cfg.Signing.On() {
		return u.Revision, fmt.Errorf("revision %s was written without a signature, and others sign their changes: nodes with signing keys do not apply it; name the key in SMARTLB_SIGNING_KEYS, the profile or the node's file and apply again", u.Revision)
	}
	switch {
	case e.Result == ResultLost:
		return u.Revision, fmt.Errorf("%w: the current revision is %q, not %q; see it with `smartlb config show` and apply again", ErrLost, e.Winner, c.Base)
	case !e.Result.Applied():
		return u.Revision, fmt.Errorf("revision %s was written, but no node applies it: %s", u.Revision, e.Outcome())
	}
	return u.Revision, nil
}

// PublishOverride writes a drain, undrain or weight.
func PublishOverride(ctx context.Context, cfg kafka.Config, o event.Override, author, comment string, log *slog.Logger) error {
	if err := CheckOverride(o); err != nil {
		return err
	}
	return send(ctx, cfg, event.ConfigUpdate{
		ChangeID: randomHex(8), Timestamp: readable.Moment(time.Now()), Author: author, Kind: event.KindOverride, Comment: comment, Override: o,
	}, log)
}

// PublishSilence writes a silence and returns its id. It assigns a new id if the silence has none.
func PublishSilence(ctx context.Context, cfg kafka.Config, s event.Silence, author, reason string, log *slog.Logger) (string, error) {
	if s.ID == "" {
		s.ID = randomHex(4)
	}
	return s.ID, send(ctx, cfg, event.ConfigUpdate{
		ChangeID: randomHex(8), Timestamp: readable.Moment(time.Now()), Author: author, Kind: event.KindSilence, Comment: reason, Silence: s,
	}, log)
}

func send(ctx context.Context, cfg kafka.Config, u event.ConfigUpdate, log *slog.Logger) error {
	value, err := u.Encode()
	if err != nil {
		return err
	}
	p, err := kafka.NewProducer(cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = p.Close(closing)
	}()
	if _, err := p.SendSync(ctx, kafka.Record{Topic: event.TopicConfigUpdates, Key: []byte(u.ChangeID), Value: value}); err != nil {
		return fmt.Errorf("write %s: %w", event.TopicConfigUpdates, err)
	}
	return nil
}

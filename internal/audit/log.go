package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/backoff"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// queueSlots bounds the records that wait for Kafka.
const queueSlots = 4096

// Sender delivers one record; it returns when the record is in the log.
type Sender interface {
	SendSync(ctx context.Context, r kafka.Record) (kafka.Record, error)
}

// Log takes records and delivers them in order. Its methods are safe for
// concurrent use.
type Log struct {
	node    string
	dir     string // of the spool; empty: none
	sender  Sender
	log     *slog.Logger
	queue   chan event.AuditLog
	seq     atomic.Uint64
	dropped atomic.Uint64
}

// New returns a log that delivers while Run runs. It reads what an earlier
// process left in dir.
func New(node, dir string, sender Sender, log *slog.Logger) (*Log, error) {
	l := &Log{node: node, dir: dir, sender: sender, log: log, queue: make(chan event.AuditLog, queueSlots)}
	l.seq.Store(uint64(time.Now().UnixMilli())) // grows over restarts without being stored
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("audit spool: %w", err)
	}
	return l, nil
}

// Record queues a record; time, node, id and number are set here. It does not
// block: a full queue drops, counts and logs.
func (l *Log) Record(a event.AuditLog) {
	a.AuditID, a.Node, a.Seq, a.Timestamp = newID(), l.node, l.seq.Add(1), time.Now().UTC()
	if a.Result == "" {
		a.Result = event.ResultSuccess
	}
	select {
	case l.queue <- a:
	default:
		l.dropped.Add(1)
		l.log.Error("audit record dropped: the queue is full", "action", a.Action)
	}
}

// Dropped counts the records that were lost.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Run delivers until ctx ends, then tries what is queued once more and keeps
// the rest in the spool.
func (l *Log) Run(ctx context.Context) error {
	var waiting *event.AuditLog
	for attempt := 0; ctx.Err() == nil; {
		if waiting == nil {
			select {
			case <-ctx.Done():
				continue
			case a := <-l.queue:
				waiting = &a
			}
		}
		if err := l.deliver(ctx, *waiting); err != nil {
			if !backoff.Default().Wait(ctx, attempt) {
				break
			}
			attempt++
			continue
		}
		waiting, attempt = nil, 0
	}
	return l.finish(waiting)
}

// finishTime is how long the last deliveries may take.
const finishTime = time.Second

func (l *Log) finish(waiting *event.AuditLog) error {
	ctx, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	var rest []event.AuditLog
	if waiting != nil {
		rest = append(rest, *waiting)
	}
	for len(l.queue) > 0 {
		rest = append(rest, <-l.queue)
	}
	for len(rest) > 0 && l.deliver(ctx, rest[0]) == nil {
		rest = rest[1:]
	}
	return l.save(rest)
}

func (l *Log) deliver(ctx context.Context, a event.AuditLog) error {
	_, err := l.sender.SendSync(ctx, kafka.Record{Topic: event.TopicAuditLogs, Key: []byte(l.node), Value: a.AppendJSON(nil), Timestamp: a.Timestamp})
	return err
}

func (l *Log) path() string { return filepath.Join(l.dir, "audit-spool.jsonl") }

func (l *Log) load() error {
	if l.dir == "" {
		return nil
	}
	b, err := os.ReadFile(l.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range bytes.Lines(b) {
		a, err := event.DecodeAuditLog(bytes.TrimSpace(line))
		if err != nil { // a damaged spool must not keep a node from starting
			l.dropped.Add(1)
			l.log.Error("audit spool: record left out", "error", err)
			continue
		}
		select {
		case l.queue <- a:
		default:
			l.dropped.Add(1)
		}
	}
	return nil
}

func (l *Log) save(rest []event.AuditLog) error {
	if l.dir == "" {
		if len(rest) > 0 {
			l.dropped.Add(uint64(len(rest)))
			l.log.Error("audit records lost: Kafka did not take them and there is no data directory to keep them in", "records", len(rest))
		}
		return nil
	}
	if len(rest) == 0 {
		if err := os.Remove(l.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b []byte
	for _, a := range rest {
		b = append(a.AppendJSON(b), '\n')
	}
	return renameio.WriteFile(l.path(), b, 0o600)
}

func newID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

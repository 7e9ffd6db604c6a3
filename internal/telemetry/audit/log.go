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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Limits of the records that wait for Kafka. Refused actions get their own records until half of the queue is full.
// Beyond that, a user may fill at most an eighth of the queue, so that there is room for other users.
const (
	queueSlots  = 4096
	refusedRoom = queueSlots / 2
	userRoom    = queueSlots / 8
	sayEvery    = time.Minute // least time between two log lines about dropped records
)

// Sender delivers one record. It returns when the record is in the log.
type Sender interface {
	SendSync(ctx context.Context, r kafka.Record) (kafka.Record, error)
}

// Log accepts records, chains them and delivers them in order. Its methods are safe for concurrent use.
type Log struct {
	node    string
	dir     string // folder of the spool; empty: none
	sender  Sender
	log     *slog.Logger
	queue   chan event.AuditLog
	dropped atomic.Uint64
	crowd   crowd

	mu     sync.Mutex
	queued map[string]int // by user; no entry: none
	said   time.Time      // when the last line about dropped records was logged

	// Only Run's goroutine uses the fields below.
	chain   link
	waiting [][]byte // chained and not yet delivered, oldest first
	spooled int      // lines of the spool; its last lines are waiting; 0: no spool
}

// New returns a log that delivers while Run runs. It reads the records that an earlier process left in dir.
func New(node, dir string, sender Sender, log *slog.Logger) (*Log, error) {
	l := &Log{node: node, dir: dir, sender: sender, log: log, queue: make(chan event.AuditLog, queueSlots), queued: map[string]int{}}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("audit spool: %w", err)
	}
	return l, nil
}

// Resume reads the state again, after another process of this node has written to the directory. Call it before Run.
func (l *Log) Resume() error {
	l.waiting, l.spooled = nil, 0
	if err := l.load(); err != nil {
		return fmt.Errorf("audit spool: %w", err)
	}
	return nil
}

// Record queues a record. It sets time, node and id; number and chain are set before delivery. It does not block: a
// full queue drops, counts and logs the record. Many refused actions of one user become one record, as those of
// Unauthenticated do.
func (l *Log) Record(a event.AuditLog) {
	if a.Result == event.ResultDenied && (len(l.queue) >= refusedRoom || !l.crowd.spare(a.Actor.ID)) {
		l.crowd.add(a.Actor, a, "", time.Now())
		return
	}
	l.queueUp(l.complete(a))
}

// Unauthenticated counts an attempt from an address by a client without a login. All attempts of an interval become one
// record per action: otherwise a client without a login could displace the records of users.
func (l *Log) Unauthenticated(a event.AuditLog, address string) {
	l.crowd.add(event.Actor{Type: "unauthenticated"}, a, address, time.Now())
}

func (l *Log) complete(a event.AuditLog) event.AuditLog {
	a.AuditID, a.Node, a.Timestamp = newID(), l.node, time.Now().UTC()
	if a.Result == "" {
		a.Result = event.ResultSuccess
	}
	return a
}

func (l *Log) queueUp(a event.AuditLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	user := ""
	if a.Actor.Type == "user" {
		user = a.Actor.ID
	}
	if user == "" || len(l.queue) < refusedRoom || l.queued[user] < userRoom {
		select {
		case l.queue <- a:
			l.queued[user]++
			return
		default:
		}
	}
	l.dropped.Add(1)
	if now := time.Now(); now.Sub(l.said) > sayEvery {
		l.said = now
		l.log.Error("audit records dropped: the queue is full", "action", a.Action, "dropped", l.dropped.Load())
	}
}

// taken records that a record left the queue.
func (l *Log) taken(a event.AuditLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	user := ""
	if a.Actor.Type == "user" {
		user = a.Actor.ID
	}
	if l.queued[user]--; l.queued[user] <= 0 {
		delete(l.queued, user)
	}
}

// Dropped returns the number of lost records.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Run delivers until ctx ends, then sends the queued records once more and saves the rest in the spool.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(crowdEvery)
	defer tick.Stop()
	for attempt := 0; ctx.Err() == nil; {
		if len(l.waiting) == 0 {
			for _, a := range l.crowd.records(time.Now(), false) {
				l.bind(l.complete(a))
			}
		}
		if len(l.waiting) == 0 {
			select {
			case <-ctx.Done():
				continue
			case <-tick.C:
				continue
			case a := <-l.queue:
				l.taken(a)
				l.bind(a)
			}
		}
		if err := l.send(ctx, attempt > 0); err != nil {
			if !l.pause(ctx, attempt) {
				break
			}
			attempt++
			continue
		}
		attempt = 0
	}
	return l.finish()
}

// spoolAfter is how long a delivery may take before new records are saved to disk. spoolBatch is the number of
// deliveries after which the spool is shortened.
const (
	spoolAfter = 250 * time.Millisecond
	spoolBatch = 64
)

// send delivers the oldest waiting record. failing reports whether the last delivery failed.
func (l *Log) send(ctx context.Context, failing bool) error {
	value, done := l.waiting[0], make(chan error, 1)
	go func() { done <- l.hand(ctx, value) }()
	err := l.keepUntil(done, failing)
	if err == nil {
		l.delivered()
	}
	return err
}

// pause waits before the next attempt; false: ctx ended.
func (l *Log) pause(ctx context.Context, attempt int) bool {
	done := make(chan error, 1)
	go func() {
		if !backoff.Default().Wait(ctx, attempt) {
			done <- ctx.Err()
		}
		close(done)
	}()
	return l.keepUntil(done, true) == nil
}

// keepUntil returns what done receives. If that takes long, or at once with failing, it chains new records and writes
// them to the spool. A node that is killed while Kafka hangs thus loses none of them.
func (l *Log) keepUntil(done <-chan error, failing bool) error {
	slow := time.NewTimer(spoolAfter)
	defer slow.Stop()
	for {
		var queue chan event.AuditLog
		if failing && l.dir != "" && len(l.waiting) < queueSlots {
			queue = l.queue
		}
		select {
		case err := <-done:
			return err
		case <-slow.C:
			failing = true
		case a := <-queue:
			l.taken(a)
			l.bind(a)
			if err := l.spool(); err != nil {
				l.log.Error("audit spool not saved: a kill would lose records", "error", err)
			}
		}
	}
}

// spool saves the last chained record to disk, after those before it.
func (l *Log) spool() error {
	if l.spooled == 0 {
		return l.save()
	}
	f, err := os.OpenFile(l.path(), os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	last := l.waiting[len(l.waiting)-1]
	_, err = f.Write(append(bytes.Clone(last), '\n'))
	l.spooled++
	return errors.Join(err, f.Close())
}

// delivered removes the oldest waiting record, and from time to time also from the disk. Records that are in the spool
// at a kill are delivered again.
func (l *Log) delivered() {
	l.waiting = l.waiting[1:]
	if l.spooled > 0 && (len(l.waiting) == 0 || l.spooled-len(l.waiting) >= spoolBatch) {
		if err := l.save(); err != nil {
			l.log.Error("audit spool not shortened", "error", err)
		}
	}
}

// bind chains a record to the record before, and saves it to disk before it is sent. A node that is killed thus
// continues the chain in the log.
func (l *Log) bind(a event.AuditLog) {
	value := l.take(a)
	if err := l.chain.save(l.dir, value); err != nil {
		l.log.Error("audit chain not saved: it would begin anew after a kill", "error", err)
	}
}

// take is bind without the disk.
func (l *Log) take(a event.AuditLog) []byte {
	next, value := l.chain.append(a)
	l.chain = next
	l.waiting = append(l.waiting, value)
	return value
}

// finishTime limits the last deliveries.
const finishTime = time.Second

func (l *Log) finish() error {
	for len(l.queue) > 0 {
		a := <-l.queue
		l.taken(a)
		l.take(a)
	}
	for _, a := range l.crowd.records(time.Now(), true) {
		l.take(l.complete(a))
	}
	if l.dir != "" && len(l.waiting) > 0 { // all at once, before any is sent
		if err := errors.Join(l.save(), l.chain.save(l.dir, nil)); err != nil {
			l.log.Error("audit spool not saved", "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	for len(l.waiting) > 0 {
		if l.deliver(ctx) != nil {
			break
		}
	}
	return errors.Join(l.save(), l.chain.save(l.dir, nil))
}

// deliver is send for the last deliveries, after the last record.
func (l *Log) deliver(ctx context.Context) error {
	err := l.hand(ctx, l.waiting[0])
	if err == nil {
		l.waiting = l.waiting[1:]
	}
	return err
}

func (l *Log) hand(ctx context.Context, value []byte) error {
	_, err := l.sender.SendSync(ctx, kafka.Record{Topic: event.TopicAuditLogs, Key: []byte(l.node), Value: value})
	return err
}

func (l *Log) path() string { return filepath.Join(l.dir, "audit-spool.jsonl") }

// load reads the state of an earlier process: undelivered records, and the end of its chain.
func (l *Log) load() error {
	l.chain = newLink()
	if l.dir == "" {
		return nil
	}
	b, err := os.ReadFile(l.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range bytes.Lines(b) {
		line = bytes.TrimSpace(line)
		if _, err := event.DecodeAuditLog(line); err != nil { // a damaged spool must not prevent the start
			l.dropped.Add(1)
			l.log.Error("audit spool: record left out", "error", err)
			continue
		}
		if len(l.waiting) == queueSlots {
			l.dropped.Add(1)
			continue
		}
		l.waiting = append(l.waiting, bytes.Clone(line))
	}
	l.spooled = len(l.waiting)
	chain, pending, err := loadLink(l.dir)
	if err != nil {
		l.log.Error("audit chain: it begins anew", "error", err)
		return nil
	}
	l.chain = chain
	if pending != nil && !slices.ContainsFunc(l.waiting, func(w []byte) bool { return bytes.Equal(w, pending) }) {
		l.waiting = append(l.waiting, pending) // the node was killed: if this record was delivered, the log has it twice
	}
	return nil
}

func (l *Log) save() error {
	if l.dir == "" {
		if n := len(l.waiting); n > 0 {
			l.dropped.Add(uint64(n))
			l.log.Error("audit records lost: Kafka did not take them and there is no data directory to keep them in", "records", n)
		}
		return nil
	}
	if len(l.waiting) == 0 {
		l.spooled = 0
		if err := os.Remove(l.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b []byte
	for _, value := range l.waiting {
		b = append(append(b, value...), '\n')
	}
	err := renameio.WriteFile(l.path(), b, 0o600)
	if l.spooled = len(l.waiting); err != nil {
		l.spooled = 0 // the next save writes the whole file
	}
	return err
}

func newID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

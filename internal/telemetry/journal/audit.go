package journal

import (
	"context"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
)

// Record is one audit record with its position in the log.
type Record struct {
	event.AuditLog
	Offset int64 `json:"offset"`
}

// keepRecords is how many audit records are kept for display.
const keepRecords = 5000

// Records returns the stream of audit-logs.
func Records(cfg Config) *Stream[Record] {
	return newStream(cfg, event.TopicAuditLogs, keepRecords, func(r kafka.Record) (Record, bool) {
		a, err := event.DecodeAuditLog(r.Value)
		return Record{a, r.Offset}, err == nil
	}, func(r *Record) time.Time { return r.Timestamp })
}

// RecordFilter selects audit records; empty fields accept all.
type RecordFilter struct {
	Actor, Action, Target string // substrings, ignoring case
	Result, Node          string
	Since, Until          time.Time
}

// Match reports whether the filter selects a record.
func (f RecordFilter) Match(r *Record) bool {
	return holds(r.Actor.ID+" "+r.Actor.Type, f.Actor) && holds(r.Action, f.Action) && holds(r.Target.Kind+" "+r.Target.ID, f.Target) &&
		(f.Result == "" || r.Result == f.Result) && (f.Node == "" || r.Node == f.Node) &&
		(f.Since.IsZero() || !r.Timestamp.Before(f.Since)) && (f.Until.IsZero() || r.Timestamp.Before(f.Until))
}

func holds(s, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// Verify reads all of audit-logs and returns the state of its chains.
func Verify(ctx context.Context, cfg Config) (audit.Result, error) {
	var v audit.Verifier
	r, err := cfg.open(ctx, event.TopicAuditLogs, nil)
	if err != nil {
		return v.Result(), err
	}
	defer r.Close()
	err = cfg.scan(ctx, r, func(r kafka.Record) { v.AddSigned(r.Value, cfg.Kafka.Verify(r)) }, func() {})
	return v.Result(), err
}

package api

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// Balancer holds the sources of the pages about routing. Each function may be nil.
type Balancer struct {
	// Moment returns an Overview with at most the given number of seconds of history. If it is nil, the server calls
	// Overview instead.
	Moment func(ctx context.Context, seconds int) (Overview, error)
	// OverviewEvents calls event with each overview event of another node, in the form that the stream carries. It
	// returns when ctx ends or when the other node's stream ends. It is nil if this node makes the events.
	OverviewEvents func(ctx context.Context, event func([]byte) error) error
	// Past returns the stored history of an instance; service may be empty.
	Past func(ctx context.Context, service, instance string) (Past, error)

	// Decisions returns the latest n decisions that match f, latest first. FollowDecisions follows new decisions, at
	// most limit at once. FindRequest searches for one request and reports its progress to progress.
	Decisions       func(ctx context.Context, n int, f journal.Filter) ([]Decision, error)
	FollowDecisions func(limit int, f journal.Filter) Follower[Decision]
	FindRequest     func(ctx context.Context, request string, span time.Duration, progress func(journal.Search)) (journal.Search, error)

	// Requests returns the latest n requests of access-logs that match f, latest first. FollowRequests follows new
	// requests, at most limit at once.
	Requests       func(ctx context.Context, n int, f journal.RequestFilter) ([]LoggedRequest, error)
	FollowRequests func(limit int, f journal.RequestFilter) Follower[LoggedRequest]

	// Configuration returns the content of config-updates. Nodes returns the nodes that reported a status recently.
	// Publish writes a revision and returns its name.
	Configuration func(ctx context.Context) (configlog.State, error)
	Nodes         func(ctx context.Context) ([]event.NodeStatus, error)
	Publish       func(ctx context.Context, c configlog.Change) (string, error)

	// Alerts returns the active alerts; if past is true, also the latest resolved alerts.
	Alerts  func(ctx context.Context, past bool) ([]Alert, error)
	Silence func(ctx context.Context, s event.Silence, actor, reason string) (id string, err error)

	// Receivers returns the receivers of alerts; TestReceiver sends a test message to one. Both are nil on a node without
	// the role analyzer.
	Receivers    func(ctx context.Context) (AlertReceivers, error)
	TestReceiver func(ctx context.Context, name string) error

	// Records returns the latest n audit records that match f, latest first.
	Records     func(ctx context.Context, n int, f journal.RecordFilter) ([]Record, error)
	VerifyAudit func(ctx context.Context) (audit.Result, error)

	// Demo returns the state of the demo; it is nil without --demo. SetLoad changes the demo's load, SetPolicy the
	// policy of one of its services.
	Demo      func(ctx context.Context) (DemoState, error)
	SetLoad   func(ctx context.Context, scale float64) error
	SetPolicy func(ctx context.Context, service, policy, actor string) error
}

package api

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/audit"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// Balancer are the sources of the balancer's own views. Each may be nil.
type Balancer struct {
	// Moment is Overview with at most so many seconds of history; nil: Overview
	// is asked instead.
	Moment func(ctx context.Context, seconds int) (Overview, error)
	// OverviewEvents passes on another node's events of the overview, each as
	// it stands in the stream, until ctx ends or that node does; nil where this
	// node makes them.
	OverviewEvents func(ctx context.Context, event func([]byte) error) error
	// Past is what is remembered of an instance; service may be empty.
	Past func(ctx context.Context, service, instance string) (Past, error)

	// Decisions gives the newest n that match, newest first; FollowDecisions
	// those that come, at most limit at once; FindRequest looks for one request
	// and calls progress on its way.
	Decisions       func(ctx context.Context, n int, f journal.Filter) ([]Decision, error)
	FollowDecisions func(limit int, f journal.Filter) Follower[Decision]
	FindRequest     func(ctx context.Context, request string, span time.Duration, progress func(journal.Search)) (journal.Search, error)

	// Configuration is what config-updates says, Nodes who reported itself
	// lately. Publish writes a revision and gives its name.
	Configuration func(ctx context.Context) (configlog.State, error)
	Nodes         func(ctx context.Context) ([]event.NodeStatus, error)
	Publish       func(ctx context.Context, c configlog.Change) (string, error)

	// Alerts gives the active alerts, with past also the newest resolved ones.
	Alerts  func(ctx context.Context, past bool) ([]Alert, error)
	Silence func(ctx context.Context, s event.Silence, actor, reason string) (id string, err error)

	// Records gives the newest n audit records that match, newest first.
	Records     func(ctx context.Context, n int, f journal.RecordFilter) ([]Record, error)
	VerifyAudit func(ctx context.Context) (audit.Result, error)

	// Demo tells how the demo stands; nil without --demo. SetLoad changes its
	// load, SetPolicy the policy of one of its services.
	Demo      func(ctx context.Context) (DemoState, error)
	SetLoad   func(ctx context.Context, scale float64) error
	SetPolicy func(ctx context.Context, service, policy, actor string) error
}

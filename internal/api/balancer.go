package api

import "context"

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
}

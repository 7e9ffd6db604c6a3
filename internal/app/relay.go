package app

import (
	"context"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// maxAsked is the highest number of nodes that one answer queries.
const maxAsked = 8

// proxies lists the nodes with a proxy and an admin URL that reported a status recently. While Kafka is unavailable, it
// returns the last list that it found. Each client that may write to the topic can put an address there. Therefore, if
// trusted nodes exist, the list omits all others.
func (a *App) proxies(ctx context.Context) ([]nodes.Node, error) {
	last := a.seen.Load()
	look := ctx
	if last != nil {
		var cancel context.CancelFunc
		look, cancel = context.WithTimeout(ctx, kafkaTimeout)
		defer cancel()
	}
	found, err := nodes.Live(look, a.kafka, a.o.Log)
	found = slices.DeleteFunc(found, func(n nodes.Node) bool { return n.AdminURL == "" || !slices.Contains(n.Roles, event.RoleProxy) })
	if slices.ContainsFunc(found, a.peers.Trusts) {
		found = slices.DeleteFunc(found, func(n nodes.Node) bool { return !a.peers.Trusts(n) })
	}
	found = found[:min(len(found), maxAsked)]
	switch {
	case len(found) > 0:
		a.seen.Store(&found)
		return found, nil
	case last != nil:
		return *last, nil
	case err != nil:
		return nil, problem.New(problem.Unavailable, err, "")
	}
	return nil, problem.Errorf(problem.Unavailable, "no proxy sent a status in the last 15 s")
}

// kafkaTimeout is the timeout for Kafka if the process already knows proxies to query.
const kafkaTimeout = time.Second

// remoteEvents passes on the overview events of a proxy.
func (a *App) remoteEvents(ctx context.Context, emit func([]byte) error) error {
	found, err := a.proxies(ctx)
	if err != nil {
		return err
	}
	var last error
	for _, n := range found {
		var begun bool
		begun, last = a.peers.Events(ctx, n, "/api/v1/overview/events", emit)
		if begun || ctx.Err() != nil {
			return last
		}
	}
	return last
}

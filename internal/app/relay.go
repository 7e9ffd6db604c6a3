package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
)

// maxAsked is how many nodes are asked for one answer.
const maxAsked = 8

// proxies lists the nodes that reported themselves lately and have a proxy
// that can be asked. While Kafka is away these are the ones that did so last.
// Anybody who may write to the topic can name an address there: where some
// nodes are vouched for, the others are not asked.
func (a *App) proxies(ctx context.Context) ([]LiveNode, error) {
	last := a.seen.Load()
	look := ctx
	if last != nil {
		var cancel context.CancelFunc
		look, cancel = context.WithTimeout(ctx, kafkaMoment)
		defer cancel()
	}
	nodes, err := LiveNodes(look, a.kafka, a.o.Log)
	nodes = slices.DeleteFunc(nodes, func(n LiveNode) bool { return n.AdminURL == "" || !slices.Contains(n.Roles, RoleProxy) })
	if slices.ContainsFunc(nodes, a.peers.trusts) {
		nodes = slices.DeleteFunc(nodes, func(n LiveNode) bool { return !a.peers.trusts(n) })
	}
	nodes = nodes[:min(len(nodes), maxAsked)]
	switch {
	case len(nodes) > 0:
		a.seen.Store(&nodes)
		return nodes, nil
	case last != nil:
		return *last, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return nil, fmt.Errorf("%w: no proxy has reported itself in the last 15 s", api.ErrUnavailable)
}

// kafkaMoment is how long Kafka is waited for where it is known whom to ask.
const kafkaMoment = time.Second

// remoteEvents passes on a proxy's events of the overview.
func (a *App) remoteEvents(ctx context.Context, emit func([]byte) error) error {
	nodes, err := a.proxies(ctx)
	if err != nil {
		return err
	}
	var last error
	for _, n := range nodes {
		var begun bool
		begun, last = a.peers.passOn(ctx, n, "/api/v1/overview/events", emit)
		if begun || ctx.Err() != nil {
			return last
		}
	}
	return last
}

// eventSilence is after how long a node that says nothing is given up, and
// maxEvent the longest event that is passed on.
const (
	eventSilence = 12 * time.Second
	maxEvent     = 64 << 20
)

// passOn hands over the events of a stream one by one; begun says that there
// was one.
func (p *peers) passOn(ctx context.Context, n LiveNode, path string, emit func([]byte) error) (begun bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(eventSilence, func() { cancel(errors.New("it says nothing")) })
	defer watchdog.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.AdminURL+path, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept-Encoding", "identity") // it would be made plain at once
	resp, err := p.do(req, n)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	var event bytes.Buffer
	inLine := false // the buffer ended within a line
	for {
		line, err := lines.ReadSlice('\n')
		event.Write(line)
		blank := !inLine && len(line) == 1
		inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case event.Len() > maxEvent:
			return begun, fmt.Errorf("%w: %s sent an event of more than %d MiB", api.ErrUnavailable, n.AdminURL, maxEvent>>20)
		case inLine:
			continue
		case errors.Is(err, io.EOF):
			return begun, nil
		case err != nil:
			return begun, fmt.Errorf("%w: the stream of %s ended: %v", api.ErrUnavailable, n.AdminURL, err)
		}
		if !blank {
			continue
		}
		watchdog.Reset(eventSilence)
		begun = true
		if err := emit(event.Bytes()); err != nil {
			return true, err
		}
		event.Reset()
	}
}

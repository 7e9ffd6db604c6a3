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

	"github.com/smartlb/smartlb/internal/api"
	"github.com/smartlb/smartlb/internal/event"
)

// proxies lists the nodes that reported themselves lately and have a proxy
// that can be asked. While Kafka is away these are the ones that did so last.
func (a *App) proxies(ctx context.Context) ([]event.NodeStatus, error) {
	last := a.seen.Load()
	look := ctx
	if last != nil {
		var cancel context.CancelFunc
		look, cancel = context.WithTimeout(ctx, kafkaMoment)
		defer cancel()
	}
	nodes, err := LiveNodes(look, a.kafka, a.o.Log)
	nodes = slices.DeleteFunc(nodes, func(n event.NodeStatus) bool { return n.AdminURL == "" || !slices.Contains(n.Roles, RoleProxy) })
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
		begun, last = passOn(ctx, n.AdminURL+"/api/v1/overview/events", a.token, emit)
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
func passOn(ctx context.Context, address, token string, emit func([]byte) error) (begun bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(eventSilence, func() { cancel(errors.New("it says nothing")) })
	defer watchdog.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept-Encoding", "identity") // it would be made plain at once
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("%w: %v", api.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%w: %s answered %s", api.ErrUnavailable, address, resp.Status)
	}
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	var event bytes.Buffer
	inLine := false // the buffer ended within a line
	for {
		line, err := lines.ReadSlice('\n')
		event.Write(line)
		blank := !inLine && len(line) == 1
		inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case inLine && event.Len() < maxEvent:
			continue
		case errors.Is(err, io.EOF):
			return begun, nil
		case err != nil:
			return begun, fmt.Errorf("%w: the stream of %s ended: %v", api.ErrUnavailable, address, err)
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

package apiclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
)

// eventSilence is the time without an event after which Events ends. maxEvent is the longest event in bytes.
const (
	eventSilence = 12 * time.Second
	maxEvent     = 64 << 20
)

// Events passes each event of a stream to emit, as the bytes that were received. It blocks until the stream or ctx ends.
// begun reports whether there was an event. An error of emit ends the stream and is returned unchanged; each other error
// is a *problem.Error.
func (c *Client) Events(ctx context.Context, n Node, path string, emit func([]byte) error) (begun bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(eventSilence, func() { cancel(errors.New("no data received")) })
	defer watchdog.Stop()
	resp, err := c.send(ctx, n, http.MethodGet, path, nil, eventType)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	var event bytes.Buffer
	inLine := false // the buffer ended inside a line
	for {
		line, err := lines.ReadSlice('\n')
		event.Write(line)
		blank := !inLine && len(line) == 1
		inLine = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case event.Len() > maxEvent:
			return begun, problem.Errorf(problem.Unavailable, "%s sent an event of more than %d MiB", n.URL, maxEvent>>20)
		case inLine:
			continue
		case errors.Is(err, io.EOF):
			return begun, nil
		case err != nil:
			return begun, failed(fmt.Errorf("the stream of %s ended: %w", n.URL, err))
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

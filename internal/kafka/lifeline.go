package kafka

import (
	"context"
	"time"
)

// How long a client lives on after the work it was for was told to end: time to
// take leave of a broker that answers, and all that one that hangs can hold up.
const (
	readGrace  = 500 * time.Millisecond // to end fetch sessions; brokers forget them anyway
	groupGrace = 2 * time.Second        // to commit and leave
)

// lifeline gives a client's own context. It outlives ctx by grace. Then what
// the client still waits for fails: the library's Close asks brokers to end the
// fetch sessions, and waits for the answer of one that hangs as long as for any
// request. end is to be called after Close.
func lifeline(ctx context.Context, grace time.Duration) (line context.Context, end func()) {
	line, cut := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut()
		case <-line.Done():
		}
	})
	return line, func() { stop(); cut() }
}

package kafka

import (
	"context"
	"time"
)

// How long a client lives after its work has ended. It is enough to leave a broker that answers, and it bounds the
// delay by a broker that hangs.
const (
	readGrace  = 500 * time.Millisecond // to end fetch sessions; brokers expire them anyway
	groupGrace = 2 * time.Second        // to commit and leave
)

// lifeline returns a client's own context, which outlives ctx by grace. After that, pending requests of the client
// fail. Without it, the library's Close sends requests that end the fetch sessions and waits for a broker that hangs as
// long as for any request. Call end after Close.
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

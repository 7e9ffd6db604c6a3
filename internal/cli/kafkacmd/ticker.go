package kafkacmd

import (
	"fmt"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/cli"
)

// ticker prints progress on stderr after more than one second. On a terminal it rewrites one line; elsewhere it prints
// a line every ten seconds.
type ticker struct {
	env      *cli.Env
	terminal *os.File // nil: stderr is not a terminal
	every    time.Duration
	next     time.Time
	shown    bool
}

func newTicker(env *cli.Env) *ticker {
	t := &ticker{env: env, every: 10 * time.Second}
	if f, ok := screen.Terminal(env.Err); ok {
		t.terminal, t.every = f, 200*time.Millisecond
	}
	t.next = time.Now().Add(max(time.Second, t.every))
	return t
}

// tick prints progress if it is due; it calls text only then.
func (t *ticker) tick(text func() string) {
	now := time.Now()
	if now.Before(t.next) {
		return
	}
	t.next, t.shown = now.Add(t.every), true
	if t.terminal != nil {
		fmt.Fprintf(t.terminal, "\r\x1b[K%s", screen.Escape(text()))
		return
	}
	t.env.Say("%s", text())
}

// done removes the line.
func (t *ticker) done() {
	if t.terminal != nil && t.shown {
		fmt.Fprint(t.terminal, "\r\x1b[K")
	}
}

package kafkacmd

import (
	"fmt"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/cli"
)

// ticker tells on stderr how far something has come, once it has taken longer
// than a second: on a terminal one line that is rewritten, elsewhere a line
// every ten seconds.
type ticker struct {
	env      *cli.Env
	terminal *os.File // nil: stderr is none
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

// tick tells, when it is time; text is only asked for then.
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

// done takes the line away.
func (t *ticker) done() {
	if t.terminal != nil && t.shown {
		fmt.Fprint(t.terminal, "\r\x1b[K")
	}
}

package kafka

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/smartlb/smartlb/internal/cli"
)

// ticker tells on stderr how far something has come, once it has taken longer
// than a second: on a terminal one line that is rewritten, elsewhere a line
// every ten seconds.
type ticker struct {
	env      *cli.Env
	terminal bool
	every    time.Duration
	next     time.Time
	shown    bool
}

func newTicker(env *cli.Env) *ticker {
	t := &ticker{env: env, every: 10 * time.Second}
	if f, ok := env.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.terminal, t.every = true, 200*time.Millisecond
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
	if t.terminal {
		fmt.Fprintf(t.env.Err, "\r\x1b[K%s", text())
		return
	}
	t.env.Say("%s", text())
}

// done takes the line away.
func (t *ticker) done() {
	if t.terminal && t.shown {
		fmt.Fprint(t.env.Err, "\r\x1b[K")
	}
}

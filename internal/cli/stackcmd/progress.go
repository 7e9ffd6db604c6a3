package stackcmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// progressLine shows progress. On a terminal it rewrites one line; elsewhere it prints a line from time to time.
type progressLine struct {
	w        io.Writer
	terminal *os.File // nil: w is not a terminal
	last     time.Time
	open     bool // a line is incomplete
}

const (
	redraw = 100 * time.Millisecond // on a terminal
	repeat = 5 * time.Second        // elsewhere
)

func newProgressLine(w io.Writer) *progressLine {
	p := &progressLine{w: w}
	p.terminal, _ = screen.Terminal(w)
	return p
}

// show prints the state if the interval has passed. It prints the last state in any case.
func (p *progressLine) show(last bool, format string, args ...any) {
	pause := repeat
	if p.terminal != nil {
		pause = redraw
	}
	if !last && time.Since(p.last) < pause {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf(format, args...)
	if p.terminal == nil {
		fmt.Fprintln(p.w, text)
		return
	}
	fmt.Fprintf(p.terminal, "\r\x1b[K%s", screen.Escape(text))
	p.open = true
}

// end ends an incomplete line.
func (p *progressLine) end() {
	if p.open {
		fmt.Fprintln(p.w)
	}
	p.open = false
}

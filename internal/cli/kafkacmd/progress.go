package kafkacmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// progressLine tells how far something is: on a terminal in one line that is
// written over, elsewhere in a line from time to time.
type progressLine struct {
	w        io.Writer
	terminal *os.File // nil: w is none
	last     time.Time
	open     bool // a line was begun and not ended
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

// show tells the state; the last one is told in any case.
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

// end leaves the line.
func (p *progressLine) end() {
	if p.open {
		fmt.Fprintln(p.w)
	}
	p.open = false
}

package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// Screen writes to a terminal. Create it with New. It is safe for concurrent use.
type Screen struct {
	mu   sync.Mutex
	file *os.File
	part []byte // the first bytes of an incomplete character
}

// New returns a Screen if f is a terminal, otherwise f itself.
func New(f *os.File) io.Writer {
	if !term.IsTerminal(int(f.Fd())) {
		return f
	}
	return &Screen{file: f}
}

// Terminal returns the terminal to which w writes, for control sequences of the program itself. ok is false if w does
// not write to a terminal.
func Terminal(w io.Writer) (f *os.File, ok bool) {
	if s, is := w.(*Screen); is {
		return s.file, true
	}
	return nil, false
}

// File returns the file to which w writes, whether or not it is a terminal.
func File(w io.Writer) (f *os.File, ok bool) {
	if f, ok = w.(*os.File); ok {
		return f, true
	}
	return Terminal(w)
}

// Write writes p with its control characters escaped.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := p
	if len(s.part) > 0 {
		text = append(s.part, p...)
	}
	whole := len(text) - incomplete(text)
	out := escape(text[:whole])
	s.part = append([]byte(nil), text[whole:]...)
	if _, err := s.file.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// incomplete returns the length of a possibly incomplete character at the end of b.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// Escape returns a text in a form that is safe for a terminal.
func Escape(s string) string { return string(escape([]byte(s))) }

// escape writes control characters as \u001b, which JSON and YAML can read back. It writes bytes that are not UTF-8 as
// \x9b, because 8-bit terminals obey them.
func escape(b []byte) []byte {
	if clean(b) {
		return b
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&out, `\x%02x`, b[0])
		case steers(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.Write(b[:n])
		}
		b = b[n:]
	}
	return []byte(out.String())
}

func clean(b []byte) bool {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if steers(rune(c)) {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 || steers(r) {
			return false
		}
		i += n
	}
	return true
}

// steers reports whether a character acts on the terminal instead of being shown. These are the controls C0 (except
// line end and tab), DEL and C1, and line and paragraph separators. Characters that change the direction of text
// (Unicode TR 9, §2) also count, because they show a text in a different order.
func steers(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

package screen_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/base/screen"
)

// pty opens a terminal: what is written to slave is read from master.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	modes, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Oflag &^= unix.OPOST // line ends stay what they are
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// onTerminal gives what a terminal gets of some writes.
func onTerminal(t *testing.T, parts ...string) string {
	t.Helper()
	master, slave := pty(t)
	w := screen.New(slave)
	if f, ok := screen.Terminal(w); !ok || f != slave {
		t.Fatal("the terminal is not known as one")
	}
	for _, p := range append(parts, "\nend\n") {
		if n, err := io.WriteString(w, p); err != nil || n != len(p) {
			t.Fatalf("%d of %d bytes, %v", n, len(p), err)
		}
	}
	var got []byte
	for !strings.HasSuffix(string(got), "\nend\n") {
		b := make([]byte, 4096)
		n, err := master.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	return strings.TrimSuffix(string(got), "\nend\n")
}

// A message with \x1b]0;...\x07 renamed the window of whoever read it, and one
// with \x1b[2J cleared it.
func TestATerminalGetsNoControlCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, é 日本 🙂\n\tindented":  "plain text, é 日本 🙂\n\tindented",
		"\x1b[2J\x1b]0;title\x07":         `\u001b[2J\u001b]0;title\u0007`,
		"over\rwritten\b":                 `over\u000dwritten\u0008`,
		"C1 \u009b2J as a character":      `C1 \u009b2J as a character`,
		"C1 \x9b2J as a byte":             `C1 \x9b2J as a byte`,
		"\x7f\x00\x0e":                    `\u007f\u0000\u000e`,
		"user\u202egnp.exe":               `user\u202egnp.exe`,
		"\u2066a\u2069\u200f\u061c\u2028": `\u2066a\u2069\u200f\u061c\u2028`,
		"\xff\xfe\xc3":                    `\xff\xfe\xc3`,
	} {
		if got := onTerminal(t, in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		bytewise := strings.Split(in, "")
		if strings.Contains(in, "日本") { // in the middle of characters too
			bytewise = nil
			for i := range len(in) {
				bytewise = append(bytewise, in[i:i+1])
			}
		}
		if got := onTerminal(t, bytewise...); got != want {
			t.Errorf("%q in pieces: %q, want %q", in, got, want)
		}
	}
}

func TestPipesAndFilesGetEveryByte(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const raw = "\x1b[2J\x9b\u202e\xff\x00"
	out := screen.New(w)
	if _, err := io.WriteString(out, raw); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, _ := io.ReadAll(r); string(got) != raw {
		t.Errorf("%q", got)
	}
	if _, ok := screen.Terminal(out); ok {
		t.Error("a pipe is taken for a terminal")
	}
	if f, ok := screen.File(out); !ok || f != w {
		t.Error("the file of the pipe is not known")
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a", "\x1b[0m", "\u202e", "\xc2\x9b", "\xe2\x80", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := screen.Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q becomes %q", s, got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
				t.Fatalf("%q becomes %q", s, got)
			}
		}
		if screen.Escape(got) != got {
			t.Fatalf("%q is escaped twice", s)
		}
	})
}

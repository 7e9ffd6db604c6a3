package stackcmd

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/cli"
)

func TestTimesOfEveryLogAreRead(t *testing.T) {
	want := time.Date(2026, 11, 23, 3, 38, 56, 659e6, time.UTC)
	for _, line := range []string{
		"2026-11-23T03:38:56.659+0000 INFO  [x] y\n",       // reload4j
		"2026-11-23T03:38:56.659Z INFO  x\n",               // log4j2
		"2026-11-23T05:38:56.659+02:00 INFO  x\n",          // log4j2 elsewhere
		"time=2026-11-23T03:38:56.659Z level=INFO msg=x\n", // ours
	} {
		if got, ok := timeOf(line); !ok || !got.Equal(want) {
			t.Errorf("%q: %v %v", line, got, ok)
		}
	}
	for _, line := range []string{"\tat kafka.Kafka.main(Kafka.scala)\n", "\n", "Caused by: x\n", "2026 x"} {
		if got, ok := timeOf(line); ok {
			t.Errorf("%q has the time %v", line, got)
		}
	}
}

func TestSinceKeepsWholeEntries(t *testing.T) {
	l := &lastLines{most: -1, since: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	text := "2026-01-01T11:00:00.000Z old\n\tat old\n2026-01-01T12:00:00.000Z new\n\tat new\nplain\n2026-01-01T11:59:59.999Z a clock that went back\n2026-01-01T13:00:00.000Z newer"
	if err := l.read(bufio.NewReader(strings.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(l.take(), ""), "2026-01-01T12:00:00.000Z new\n\tat new\nplain\n2026-01-01T13:00:00.000Z newer"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheLastLinesAreTheLast(t *testing.T) {
	for _, n := range []int{0, 1, 3, 1000} {
		l := &lastLines{most: n}
		for i := range 100 {
			l.add(string(rune('a'+i%26)) + "\n")
		}
		if got := len(l.take()); got != min(n, 100) {
			t.Errorf("the last %d of 100 are %d", n, got)
		}
	}
}

// output may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

func TestFollowGoesOnInTheNextFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("one\ntwo\n")
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &output{}, make(chan error, 1)
	go func() {
		done <- printLog(ctx, &cli.Env{Out: out}, path, logsArgs{service: "x", lines: 1, follow: true})
	}()
	await := func(want string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); out.String() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q, want %q", out.String(), want)
			}
		}
	}
	await("two\n")
	write("three\n")
	await("two\nthree\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("four\n")
	await("two\nthree\nfour\n")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

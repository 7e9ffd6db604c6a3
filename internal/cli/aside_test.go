package cli

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is whoever reads the log, and may stop doing so.
type reader struct {
	held sync.Mutex
	got  bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	r.held.Lock()
	defer r.held.Unlock()
	return r.got.Write(p)
}

func asideEnv(t *testing.T) (*Env, *reader) {
	t.Helper()
	r := &reader{}
	e := &Env{Err: r, logLevel: "info", logFormat: "text"}
	if err := e.prepare(forms); err != nil {
		t.Fatal(err)
	}
	return e, r
}

func TestWhoLogsDoesNotWaitForWhoReads(t *testing.T) {
	e, r := asideEnv(t)
	end := e.LogAside()
	r.held.Lock()
	const lines, more = 20_000, 40_000
	write := func(from, to int) {
		for i := from; i < to; i++ {
			e.Log.Info("a line", "number", i, "rest", strings.Repeat("x", 100))
		}
	}
	write(0, lines)
	r.held.Unlock()
	write(lines, more) // it is full again before what was lost is said
	end()
	e.Log.Info("direct again")
	text := r.got.String()
	said := regexp.MustCompile(`were dropped.* lines=(\d+)\n`).FindAllStringSubmatch(text, -1)
	lost := 0
	for _, m := range said {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		lost += n
	}
	if kept := strings.Count(text, "a line"); kept == 0 || lost == 0 || kept+lost != more {
		t.Errorf("%d lines written and %d said to be lost, of %d", kept, lost, more)
	}
	if !strings.HasSuffix(text, "msg=\"direct again\"\n") {
		t.Errorf("ends with %q", text[len(text)-50:])
	}
}

func TestALogThatIsReadIsWhole(t *testing.T) {
	e, r := asideEnv(t)
	end := e.LogAside()
	const writers, each = 4, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				e.Log.Info(fmt.Sprintf("line %d of %d.", i, w))
			}
		})
	}
	all.Wait()
	end()
	text := r.got.String()
	for w := range writers {
		at := 0
		for i := range each {
			n := strings.Index(text[at:], fmt.Sprintf("line %d of %d.", i, w))
			if n < 0 {
				t.Fatalf("line %d of writer %d is missing or out of its order", i, w)
			}
			at += n
		}
	}
}

// mutely takes nothing until it is told to.
type mutely chan struct{}

func (m mutely) Write(p []byte) (int, error) { <-m; return len(p), nil }

func TestTheEndOfALogIsNotWaitedForWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := asideEnv(t)
		out := make(mutely)
		e.Err = out
		end := e.LogAside()
		e.Log.Info("nobody reads this")
		began := time.Now()
		end()
		if took := time.Since(began); took != asideEnd {
			t.Errorf("took %s", took)
		}
		close(out)
	})
}

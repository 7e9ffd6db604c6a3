package proxy

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

const (
	logShards = 4
	logBuffer = 256 << 10             // bytes per shard; about 650 lines at 400 bytes per line
	logEvery  = 50 * time.Millisecond // interval between writes
	logEnd    = 2 * time.Second       // time limit for the last lines at the end
)

// accessLog writes access log lines from one goroutine. A request only copies its finished line into the buffer of its
// shard. If the writer is slow and the buffer is full, the line is dropped and counted. Lines of different connections
// may be written out of order by up to logEvery.
type accessLog struct {
	w       io.Writer
	log     *slog.Logger
	dropped atomic.Uint64
	wake    chan struct{}
	shard   [logShards]struct {
		mu    sync.Mutex
		buf   []byte
		lines uint64
		_     [24]byte
	}
}

func newAccessLog(w io.Writer, log *slog.Logger) *accessLog {
	return &accessLog{w: w, log: log, wake: make(chan struct{}, 1)}
}

// add copies line into the buffer of a shard. It does not wait for the writer.
func (a *accessLog) add(shard int, line []byte) {
	s := &a.shard[shard%logShards]
	s.mu.Lock()
	if s.buf == nil {
		s.buf = make([]byte, 0, logBuffer)
	}
	full := len(s.buf)+len(line) > cap(s.buf)
	if !full {
		s.buf = append(s.buf, line...)
		s.lines++
	}
	half := len(s.buf) > logBuffer/2
	s.mu.Unlock()
	if full {
		a.dropped.Add(1)
	}
	if half {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// run writes until ctx ends, then writes the remaining lines.
func (a *accessLog) run(ctx context.Context) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	spare := make([]byte, 0, logBuffer)
	broken := false
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		case <-a.wake:
		}
		for i := range a.shard {
			s := &a.shard[i]
			s.mu.Lock()
			if len(s.buf) == 0 {
				s.mu.Unlock()
				continue
			}
			full, lines := s.buf, s.lines
			s.buf, s.lines = spare, 0
			s.mu.Unlock()
			if _, err := a.w.Write(full); err != nil {
				a.dropped.Add(lines)
				if !broken {
					a.log.Error("access log", "error", err)
				}
				broken = true
			} else if broken {
				a.log.Info("access log written again")
				broken = false
			}
			spare = full[:0]
		}
		if ended {
			return
		}
	}
}

// logLine logs an exchange. rec is nil for a request that was refused before it was dispatched.
func (c *conn) logLine(e *exchange, rec *dispatch.Record, status int, why string) {
	if c.p.log == nil && c.p.messages == nil && c.p.cfg.LogRecorder == nil || !c.p.cfg.LogFilter.Takes(status, rec != nil && rec.Failure != dispatch.None, e.x.Random) {
		return
	}
	l := &e.entry
	l.Time, l.RequestID, l.Client, l.Listener, l.Protocol = c.now+c.p.wall.Load(), e.id, e.client, c.l.name(), e.protocol(c)
	l.Method, l.Host, l.Target = e.req.Method(), e.req.Host(), e.target()
	l.Status, l.BytesIn, l.BytesOut, l.Why = status, e.taken, e.sent, why
	l.Traced, l.Trace = e.trace.on, e.trace.context
	l.SNI, l.TLSSubject = c.sni, c.cert.subject
	if rec == nil {
		c.noteHeaders(e)
	}
	if l.Dispatched = rec != nil; l.Dispatched {
		l.DurationNs, l.Route, l.Service, l.Instance, l.Attempts = rec.DurationNs, rec.Route, rec.Service, rec.Instance, rec.Attempts
		l.User, l.AuthNs, l.QueueNs, l.Failure = rec.User, rec.AuthNs, rec.QueueNs, ""
		noteTries(l, rec)
		if rec.Failure != dispatch.None {
			l.Failure = rec.Failure.String()
		}
	} else {
		l.DurationNs, l.Route, l.Service, l.Instance, l.Attempts = 0, "", "", "", 0
		l.User, l.AuthNs, l.QueueNs, l.Retried, l.Hedge, l.Failure = "", 0, 0, l.Retried[:0], "", ""
	}
	if c.p.log != nil {
		e.line = c.p.cfg.LogFormat.Append(e.line[:0], l)
		c.p.log.add(c.shard, e.line)
	}
	if c.p.cfg.LogRecorder != nil {
		c.p.cfg.LogRecorder.Log(l)
	}
	if c.p.messages != nil {
		e.line = c.p.cfg.MessageFormat.Append(e.line[:0], l)
		c.p.messages.add(c.shard, e.line)
	}
}

// noteHeaders notes the request headers that the access log needs, before the route can remove them.
func (c *conn) noteHeaders(e *exchange) {
	if c.p.headers {
		e.entry.Referer, _ = e.req.Header("referer")
		e.entry.UserAgent, _ = e.req.Header("user-agent")
	}
}

// noteTries notes the tries before the last one.
func noteTries(l *accesslog.Entry, rec *dispatch.Record) {
	l.Retried, l.Hedge = l.Retried[:0], rec.Hedge
	for i := range rec.Earlier {
		t := &rec.Earlier[i]
		l.Retried = append(l.Retried, accesslog.Try{Status: t.Status, GRPC: t.GRPC, Failure: t.Failure.String()})
	}
}

// protocol returns the protocol of a request as in the access log, "" if the request was not understood so far.
func (e *exchange) protocol(c *conn) string {
	if e.req.Method() == nil {
		return ""
	}
	return c.front.protocol(e)
}

// target returns the target as it is forwarded. For a refused request it returns the received target, cut at maxRefused
// bytes.
func (e *exchange) target() []byte {
	switch raw := e.req.RawTarget(); {
	case e.req.Path() != nil:
		e.out = e.req.AppendTarget(e.out[:0])
	case len(raw) > maxRefused:
		e.out = append(append(e.out[:0], raw[:maxRefused]...), "..."...)
	default:
		return raw
	}
	return e.out
}

const maxRefused = 1024 // bytes of a refused target in the log

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

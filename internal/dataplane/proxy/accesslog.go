package proxy

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

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
	if c.p.log == nil {
		return
	}
	b := append(e.line[:0], `{"time":"`...)
	b = e.appendTime(b, c.now+c.p.wall.Load())
	b = append(b, `","request_id":"`...)
	b = append(b, e.id...)
	if e.trace.on {
		b = append(b, `","trace_id":"`...)
		b = hex.AppendEncode(b, e.trace.context.TraceID[:])
	}
	b = append(b, `","client":"`...)
	b = e.client.AppendTo(b)
	b = append(b, `","listener":`...)
	b = appendQuoted(b, c.l.name())
	b = append(b, `,"protocol":`...)
	b = appendQuoted(b, e.protocol(c))
	b = append(b, `,"method":`...)
	b = appendQuoted(b, e.req.Method())
	b = append(b, `,"host":`...)
	b = appendQuoted(b, e.req.Host())
	b = append(b, `,"target":`...)
	b = e.appendTarget(b)
	b = append(b, `,"status":`...)
	b = appendInt(b, int64(status))
	b = append(b, `,"bytes_in":`...)
	b = appendInt(b, e.taken)
	b = append(b, `,"bytes_out":`...)
	b = appendInt(b, e.sent)
	if rec != nil {
		b = append(b, `,"duration_ms":`...)
		b = strconv.AppendFloat(b, float64(rec.DurationNs/1000)/1000, 'f', 3, 64)
		b = append(b, `,"route":`...)
		b = appendQuoted(b, rec.Route)
		b = append(b, `,"service":`...)
		b = appendQuoted(b, rec.Service)
		b = append(b, `,"instance":`...)
		b = appendQuoted(b, rec.Instance)
		b = append(b, `,"attempts":`...)
		b = appendInt(b, int64(rec.Attempts))
		if rec.User != "" {
			b = append(b, `,"user":`...)
			b = appendQuoted(b, rec.User)
		}
		if rec.QueueNs > 0 {
			b = append(b, `,"queue_ms":`...)
			b = strconv.AppendFloat(b, float64(rec.QueueNs/1000)/1000, 'f', 3, 64)
		}
		b = appendEarlier(b, rec.Earlier)
		if rec.Hedge != "" {
			b = append(append(append(b, `,"hedge":"`...), rec.Hedge...), '"')
		}
		if rec.Failure != dispatch.None {
			b = append(b, `,"failure":"`...)
			b = append(b, rec.Failure.String()...)
			b = append(b, '"')
		}
	} else {
		b = append(b, `,"duration_ms":0,"route":"","service":"","instance":"","attempts":0`...)
	}
	b = append(b, `,"why":`...)
	b = appendQuoted(b, why)
	b = append(b, "}\n"...)
	e.line = b
	c.p.log.add(c.shard, b)
}

// appendEarlier appends why each try but the last one was not enough: its failure, or its status.
func appendEarlier(b []byte, tries []dispatch.Attempt) []byte {
	if len(tries) == 0 {
		return b
	}
	b = append(b, `,"retried":[`...)
	for i := range tries {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		switch t := &tries[i]; {
		case t.GRPC != 0:
			b = appendInt(append(b, "grpc-status "...), int64(t.GRPC))
		case t.Failure != dispatch.None:
			b = append(b, t.Failure.String()...)
		default:
			b = appendInt(b, int64(t.Status))
		}
		b = append(b, '"')
	}
	return append(b, ']')
}

// protocol returns the protocol of a request as in the access log, "" if the request was not understood so far.
func (e *exchange) protocol(c *conn) string {
	if e.req.Method() == nil {
		return ""
	}
	return c.front.protocol(e)
}

// appendTime appends the time in RFC 3339 with milliseconds. It caches the formatted second.
func (e *exchange) appendTime(b []byte, wall int64) []byte {
	second, ms := wall/1e9, wall/1e6%1000
	if second != e.second || len(e.stamp) == 0 {
		e.second = second
		e.stamp = time.Unix(second, 0).UTC().AppendFormat(e.stamp[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, e.stamp...)
	return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

// appendTarget appends the target as it is forwarded. For a refused request it appends the received target, cut at
// maxRefused bytes.
func (e *exchange) appendTarget(b []byte) []byte {
	b = append(b, '"')
	switch raw := e.req.RawTarget(); {
	case e.req.Path() != nil:
		e.out = e.req.AppendTarget(e.out[:0])
		b = appendEscaped(b, e.out)
	case len(raw) > maxRefused:
		b = append(appendEscaped(b, raw[:maxRefused]), "..."...)
	default:
		b = appendEscaped(b, raw)
	}
	return append(b, '"')
}

const maxRefused = 1024 // bytes of a refused target in the log

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendQuoted[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

// appendEscaped appends s as the content of a JSON string. The output is ASCII; other bytes are written as \u00XX.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	const digits = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

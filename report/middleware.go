package report

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// Middleware counts the requests that next serves. A request that switches protocols (WebSocket) is in progress until
// its handler returns; its latency is not recorded.
func (r *Reporter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.active.Add(1)
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		panicked := true
		defer func() {
			r.active.Add(-1)
			r.count(rec, panicked, time.Since(start))
		}()
		next.ServeHTTP(rec, req)
		panicked = false
	})
}

func (r *Reporter) count(rec *recorder, panicked bool, took time.Duration) {
	switch {
	case panicked || r.cfg.Failed(rec.status):
		r.errors.Add(1)
	case rec.hijacked || rec.status == http.StatusSwitchingProtocols:
	default:
		r.latencies.add(took)
	}
	r.requests.Add(1)
}

// recorder stores the status. It supports flushing, hijacking and copying from files, and everything else through
// http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status   int
	written  bool
	hijacked bool
}

// WriteHeader stores the first final status; informational statuses (1xx except 101) may come before it.
func (w *recorder) WriteHeader(status int) {
	if !w.written && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status, w.written = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.written = true
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets the server use sendfile.
func (w *recorder) ReadFrom(src io.Reader) (int64, error) {
	w.written = true
	return io.Copy(w.ResponseWriter, src)
}

// Flush sends buffered data, if the server supports it.
func (w *recorder) Flush() {
	w.written = true
	_ = http.NewResponseController(w.ResponseWriter).Flush() // http.Flusher cannot report that it is not supported
}

// Hijack takes over the connection, if the server supports it.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, rw, err
}

// Unwrap returns the server's own ResponseWriter, for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

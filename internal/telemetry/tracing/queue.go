package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
)

const (
	ringSlots = 2048        // exchanges that wait; about 5 MB when all are in use
	batchMost = 256         // exchanges of a batch
	flushWait = time.Second // longest wait of an exchange for its batch
	stopWait  = 2 * time.Second
	maxAnswer = 64 << 10 // bytes of an answer of the collector
	maxReason = 300      // bytes of its reason in the log
)

// Stats counts spans or records that were lost.
type Stats struct {
	Dropped     uint64 // exchanges that found the queue full
	Undelivered uint64 // spans or records of batches that the collector did not accept as a whole
}

// queue passes copies of exchanges to the goroutine that sends them. Its slots are reused.
type queue[S any] struct {
	cfg         Config
	ring, free  chan *S
	crowded     chan struct{} // the ring holds a batch
	dropped     atomic.Uint64
	undelivered atomic.Uint64
	failing     bool
	batch       []*S

	upload            func(context.Context, []*S) (items int, err error)
	refused, accepted string // for the log of the node
}

func newQueue[S any](cfg Config, refused, accepted string) queue[S] {
	return queue[S]{
		cfg: cfg, ring: make(chan *S, ringSlots), free: make(chan *S, ringSlots), crowded: make(chan struct{}, 1),
		refused: refused, accepted: accepted,
	}
}

// Stats returns the counters. It may be called at any time.
func (q *queue[S]) Stats() Stats {
	return Stats{Dropped: q.dropped.Load(), Undelivered: q.undelivered.Load()}
}

// take returns a slot, nil if the ring is full; that is counted.
func (q *queue[S]) take() *S {
	select {
	case one := <-q.free:
		return one
	default:
	}
	if len(q.ring) == cap(q.ring) {
		q.dropped.Add(1)
		return nil
	}
	return new(S)
}

// add queues a slot.
func (q *queue[S]) add(one *S) {
	select {
	case q.ring <- one:
	default:
		q.dropped.Add(1)
		return
	}
	if len(q.ring) >= batchMost {
		select {
		case q.crowded <- struct{}{}:
		default:
		}
	}
}

// Run sends what is queued until ctx ends, then what waits, for up to 2 s.
func (q *queue[S]) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWait, cancel) })()
	tick := time.NewTicker(flushWait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(q.ring) > 0 {
				q.send(work)
			}
			return nil
		case <-tick.C:
		case <-q.crowded:
		}
		for n := len(q.ring); n > 0 && ctx.Err() == nil; n -= batchMost {
			q.send(work)
		}
	}
}

// send sends one batch.
func (q *queue[S]) send(ctx context.Context) {
	for q.batch = q.batch[:0]; len(q.batch) < batchMost && len(q.ring) > 0; {
		q.batch = append(q.batch, <-q.ring)
	}
	within, cancel := context.WithTimeout(ctx, q.cfg.Timeout)
	items, err := q.upload(within, q.batch)
	cancel()
	for _, s := range q.batch { // only now: what was sent refers to them
		select {
		case q.free <- s:
		default:
		}
	}
	if err != nil {
		q.undelivered.Add(uint64(items))
	}
	if err != nil && !q.failing {
		reason := err.Error()
		q.cfg.Log.Warn(q.refused, "endpoint", q.cfg.Endpoint, "items", items, "error", reason[:min(len(reason), maxReason)])
	} else if err == nil && q.failing {
		q.cfg.Log.Info(q.accepted, "endpoint", q.cfg.Endpoint)
	}
	q.failing = err != nil
}

// encryption returns the TLS of connections to the collector. It reads the file of cfg.
func encryption(cfg Config) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA == "" {
		return out, nil
	}
	pem, err := os.ReadFile(cfg.CA)
	if err != nil {
		return nil, fmt.Errorf("%s.ca: %w", cfg.Key, err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s.ca: %s holds no certificate in PEM", cfg.Key, cfg.CA)
	}
	return out, nil
}

// newTransport returns the transport to the collector. It reads the file and the secrets of cfg, and makes no connection.
func newTransport(cfg Config) (*http.Transport, *http.Client, error) {
	secure, err := encryption(cfg)
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute,
		TLSClientConfig: secure, MaxResponseHeaderBytes: maxAnswer,
	}
	headers := &withHeaders{key: cfg.Key, refs: cfg.Headers, next: transport}
	if _, err := headers.resolve(); err != nil {
		return nil, nil, err
	}
	return transport, &http.Client{
		Transport: headers, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers hold secrets for this host only
	}, nil
}

// withHeaders adds headers to requests. It reads secrets for each request, so that they can be replaced.
type withHeaders struct {
	key  string
	refs map[string]secret.Ref
	next http.RoundTripper
}

func (w *withHeaders) resolve() (map[string]string, error) {
	out := map[string]string{}
	for name, ref := range w.refs {
		value, err := ref.Resolve(os.Getenv, os.ReadFile)
		if err != nil {
			return nil, fmt.Errorf("%s.headers.%s: %w", w.key, name, err)
		}
		out[name] = value
	}
	return out, nil
}

func (w *withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	values, err := w.resolve()
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	for name, value := range values {
		r.Header.Set(name, value)
	}
	return w.next.RoundTrip(r)
}

// Config of an Exporter or a LogExporter.
type Config struct {
	Key           string // of the settings, for errors
	Node, Version string
	Endpoint      string                // http:// or https:// URL with a path; without one for gRPC
	GRPC          bool                  // OTLP over gRPC; false: over HTTP
	Headers       map[string]secret.Ref // sent with each batch
	CA            string                // file with certificate authorities in PEM; empty: those of the system
	Timeout       time.Duration         // of a batch, with its retries
	Log           *slog.Logger
}

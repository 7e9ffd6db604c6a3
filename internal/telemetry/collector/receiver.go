package collector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/base/otlpmetrics"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Limits of the receiver.
const (
	maxBody    = 4 << 20 // bytes of a request, before and after decompression
	maxAtOnce  = 32      // requests that are received at the same time; each takes up to 12 MiB
	maxWalks   = 2       // of them that are evaluated at the same time; each takes up to 100 MB
	maxReceipt = 10 * time.Second
	pathOTLP   = "/v1/metrics"
	kindOTLP   = "otlp"
	jsonType   = "application/json"
	protoType  = "application/x-protobuf"
	logAtMost  = 10 * time.Second // one line about rejected metrics in this time
	retryAfter = "1"              // seconds
)

// Codes of gRPC in the body of refusals.
const (
	codeInvalidArgument = 3
	codeExhausted       = 8
	codeUnavailable     = 14
	codeUnauthenticated = 16
)

// RequestResult is what became of a request of OTLP.
type RequestResult uint8

// The results.
const (
	RequestTaken      RequestResult = iota // its metrics were read
	RequestMalformed                       // it is no request of OTLP
	RequestTooLarge                        // it is larger than 4 MiB after decompression, or has too many values
	RequestBusy                            // too many requests are being read
	RequestRefused                         // the token is missing or wrong
	NumRequestResults = int(iota)
)

func (r RequestResult) String() string {
	return [NumRequestResults]string{"taken", "malformed", "too-large", "busy", "refused"}[r]
}

// ReceiverConfig of a Receiver.
type ReceiverConfig struct {
	Services func() []config.Service // of the current configuration, with the instances that sources find
	Sender   Sender
	Gate     *access.Gate // nil: no token is needed
	Wall     func() time.Time
	Log      *slog.Logger
}

// Receiver takes metrics of instances by OTLP over HTTP or gRPC and publishes them as messages of the instances. It is an
// http.Handler for POST /v1/metrics and, with HTTP/2, for the method Export of the MetricsService. Make it with NewReceiver. It has no goroutines.
type Receiver struct {
	cfg      ReceiverConfig
	reports  reports
	slots    chan struct{}
	walks    chan struct{}
	requests [NumRequestResults]atomic.Uint64
	results  [NumReportResults]atomic.Uint64
	logged   atomic.Int64 // when rejected metrics were last logged, in nanoseconds since 1970
}

// ReceiverStats counts since the start.
type ReceiverStats struct {
	Requests [NumRequestResults]uint64
	Reports  [NumReportResults]uint64
}

// NewReceiver returns a receiver.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	r := &Receiver{cfg: cfg, slots: make(chan struct{}, maxAtOnce), walks: make(chan struct{}, maxWalks)}
	r.reports = reports{services: cfg.Services, instances: map[[2]string]*received{}, send: func(topic, service string, value []byte) bool {
		return cfg.Sender.Send(kafka.Record{Topic: topic, Key: []byte(service), Value: value, Headers: []kafka.Header{
			{Key: event.HeaderReporter, Value: []byte(event.ReporterCollector(kindOTLP))},
		}})
	}}
	return r
}

// Stats returns the counts.
func (r *Receiver) Stats() (s ReceiverStats) {
	for i := range s.Requests {
		s.Requests[i] = r.requests[i].Load()
	}
	for i := range s.Reports {
		s.Reports[i] = r.results[i].Load()
	}
	return s
}

// refusal is a response without success.
type refusal struct {
	result RequestResult
	status int
	code   int // of gRPC
	text   string
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == pathGRPC {
		r.serveGRPC(w, req)
		return
	}
	contentType, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	asJSON := contentType == jsonType
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxReceipt)) // without it the server has its own
	body, no := r.take(req, contentType)
	if no == nil {
		r.requests[RequestTaken].Add(1)
		respond(w, http.StatusOK, body, asJSON)
		return
	}
	r.requests[no.result].Add(1)
	switch no.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	respond(w, no.status, otlpmetrics.Status(no.code, no.text, asJSON), asJSON)
}

func respond(w http.ResponseWriter, status int, body []byte, asJSON bool) {
	w.Header().Set("Content-Type", protoType)
	if asJSON {
		w.Header().Set("Content-Type", jsonType)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the sender is gone
}

// take reads a request and publishes its metrics. It returns the body of the response.
func (r *Receiver) take(req *http.Request, contentType string) ([]byte, *refusal) {
	if req.URL.Path != pathOTLP {
		return nil, &refusal{RequestMalformed, http.StatusNotFound, codeInvalidArgument, "metrics are taken at " + pathOTLP}
	}
	if req.Method != http.MethodPost {
		return nil, &refusal{RequestMalformed, http.StatusMethodNotAllowed, codeInvalidArgument, "want POST"}
	}
	walk := otlpmetrics.Proto
	switch contentType {
	case protoType:
	case jsonType:
		walk = otlpmetrics.JSON
	default:
		return nil, &refusal{RequestMalformed, http.StatusUnsupportedMediaType, codeInvalidArgument, "want Content-Type " + protoType + " or " + jsonType}
	}
	leave, no := r.admit(req)
	if no != nil {
		return nil, no
	}
	defer leave()
	body, no := read(req.Body, req.Header.Get("Content-Encoding"))
	if no != nil {
		return nil, no
	}
	return r.evaluate(body, walk, contentType == jsonType)
}

// admit returns nil if the sender may send now. leave ends that.
func (r *Receiver) admit(req *http.Request) (leave func(), no *refusal) {
	if no := r.authenticate(req); no != nil {
		return nil, no
	}
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	default:
		return nil, &refusal{RequestBusy, http.StatusServiceUnavailable, codeUnavailable, "too many requests at once"}
	}
}

// evaluate publishes the metrics of a request. It returns the body of the response.
func (r *Receiver) evaluate(body []byte, walk func([]byte, otlpmetrics.Visitor) error, asJSON bool) ([]byte, *refusal) {
	r.walks <- struct{}{} // a walk takes no longer than its bytes
	defer func() { <-r.walks }()
	now := r.cfg.Wall()
	found := readings{mappings: r.reports.current(now), all: map[[2]string]*reading{}}
	if err := walk(body, &found); err != nil {
		if errors.Is(err, otlpmetrics.ErrValues) {
			return nil, tooLarge(err.Error())
		}
		return nil, &refusal{RequestMalformed, http.StatusBadRequest, codeInvalidArgument, err.Error()}
	}
	for _, one := range found.order {
		result, why := r.reports.settle(one, now)
		found.out.note(result, one.points, why)
	}
	r.note(found.out, now)
	return otlpmetrics.Partial(found.out.rejected, found.out.reason, asJSON), nil
}

// authenticate returns nil if the sender may send.
func (r *Receiver) authenticate(req *http.Request) *refusal {
	_, ok, err := r.cfg.Gate.Identify(req)
	var many access.TooMany
	switch {
	case errors.As(err, &many):
		return &refusal{RequestRefused, http.StatusTooManyRequests, codeUnavailable, err.Error()}
	case err != nil || !ok:
		return &refusal{RequestRefused, http.StatusUnauthorized, codeUnauthenticated, "want the header Authorization: Bearer with the token of the receiver"}
	}
	return nil
}

func tooLarge(text string) *refusal {
	return &refusal{RequestTooLarge, http.StatusRequestEntityTooLarge, codeExhausted, text}
}

// read returns the decompressed body of a request.
func read(from io.Reader, encoding string) ([]byte, *refusal) {
	malformed := func(err error) *refusal {
		return &refusal{RequestMalformed, http.StatusBadRequest, codeInvalidArgument, fmt.Sprintf("the body cannot be read: %v", err)}
	}
	limited := &io.LimitedReader{R: from, N: maxBody + 1}
	var in io.Reader = limited
	switch strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(limited)
		if err != nil {
			return nil, malformed(err)
		}
		in = z
	default:
		return nil, &refusal{RequestMalformed, http.StatusUnsupportedMediaType, codeInvalidArgument, "want the encoding gzip or none"}
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(in, maxBody+1))
	switch {
	case n > maxBody || limited.N == 0:
		return nil, tooLarge(fmt.Sprintf("the request is larger than %d MiB; send fewer points at once", maxBody>>20))
	case err != nil:
		return nil, malformed(err)
	}
	return body.Bytes(), nil
}

// note counts what became of the metrics of a request, and logs why some were rejected.
func (r *Receiver) note(o outcome, now time.Time) {
	for i, n := range o.results {
		r.results[i].Add(uint64(n))
	}
	if o.reason == "" {
		return
	}
	last := r.logged.Load()
	if now.Sub(time.Unix(0, last)) >= logAtMost && r.logged.CompareAndSwap(last, now.UnixNano()) {
		r.cfg.Log.Warn("metrics received by OTLP were rejected", "points", o.rejected, "reason", o.reason)
	}
}

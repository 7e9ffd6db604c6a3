package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	description "github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/control"
	"github.com/smartlb/smartlb/internal/event"
)

// ErrNotFound is returned by a source for a name that does not exist.
var ErrNotFound = errors.New("not found")

// ErrUnavailable is returned by a source that cannot answer now, for example
// without Kafka.
var ErrUnavailable = errors.New("not available")

// Sources are what the handlers ask. A nil function makes its calls answer 404
// with a sentence. All are called concurrently and bounded by their context.
type Sources struct {
	Node     func() Node
	Overview func(ctx context.Context) (Overview, error)
	Explain  func(ctx context.Context, service, instance string) (Explanation, error) // service may be empty
	Override func(ctx context.Context, o event.Override, actor string) error
	History  func(ctx context.Context) ([]control.Entry, error)
	Topics   func(ctx context.Context) ([]Topic, error)
	Topic    func(ctx context.Context, name string) (TopicDetail, error)
	// Tail calls f with new messages until ctx ends; last asks for the newest
	// n messages of each partition first.
	Tail func(ctx context.Context, topic string, last int, f func([]Message)) error
	// Fault sets (nil: heals) what a demo instance does wrong; nil without --demo.
	Fault func(ctx context.Context, instance string, f *Fault) error
}

// Server answers /api/v1.
type Server struct {
	src Sources
	log *slog.Logger
	mux *http.ServeMux
}

// New returns the handler of the API.
func New(src Sources, log *slog.Logger) *Server {
	s := &Server{src: src, log: log, mux: http.NewServeMux()}
	s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) routes() {
	s.mux.HandleFunc("GET /api/v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(description.OpenAPI)
	})
	s.get("/api/v1/node", s.src.Node != nil, func(r *http.Request) (any, error) { return s.src.Node(), nil })
	s.get("/api/v1/overview", s.src.Overview != nil, func(r *http.Request) (any, error) { return s.src.Overview(r.Context()) })
	s.get("/api/v1/services", s.src.Overview != nil, func(r *http.Request) (any, error) {
		o, err := s.src.Overview(r.Context())
		return nonNil(o.Services), err
	})
	s.get("/api/v1/alerts", s.src.Overview != nil, func(r *http.Request) (any, error) {
		o, err := s.src.Overview(r.Context())
		return nonNil(o.Alerts), err
	})
	s.get("/api/v1/instances/{instance}/explain", s.src.Explain != nil, func(r *http.Request) (any, error) {
		return s.src.Explain(r.Context(), r.URL.Query().Get("service"), r.PathValue("instance"))
	})
	s.get("/api/v1/config/history", s.src.History != nil, func(r *http.Request) (any, error) {
		h, err := s.src.History(r.Context())
		return nonNil(h), err
	})
	s.get("/api/v1/topics", s.src.Topics != nil, func(r *http.Request) (any, error) {
		t, err := s.src.Topics(r.Context())
		return nonNil(t), err
	})
	s.get("/api/v1/topics/{topic}", s.src.Topic != nil, func(r *http.Request) (any, error) {
		return s.src.Topic(r.Context(), r.PathValue("topic"))
	})
	s.mux.HandleFunc("GET /api/v1/overview/events", s.overviewEvents)
	s.mux.HandleFunc("GET /api/v1/topics/{topic}/events", s.topicEvents)
	s.post("/api/v1/services/{service}/instances/{instance}/override", s.src.Override != nil, s.override)
	s.post("/api/v1/demo/instances/{instance}/fault", s.src.Fault != nil, s.fault)
	s.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, Problem{Error: "there is no " + r.Method + " " + r.URL.Path, Hint: "the calls are in /api/v1/openapi.yaml"})
	})
}

// callTimeout bounds what one call may wait for Kafka or another node.
const callTimeout = 10 * time.Second

func (s *Server) get(path string, have bool, f func(*http.Request) (any, error)) {
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, have, f)
	})
}

func (s *Server) post(path string, have bool, f func(*http.Request) (any, error)) {
	s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			s.fail(w, http.StatusUnsupportedMediaType, Problem{Error: "the body must be JSON", Hint: "send Content-Type: application/json"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		s.answer(w, r, have, f)
	})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, have bool, f func(*http.Request) (any, error)) {
	if !have {
		s.fail(w, http.StatusNotFound, Problem{Error: "this node cannot answer " + r.URL.Path, Hint: "it does not have the role, runs without Kafka, or runs without --demo"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	v, err := f(r.WithContext(ctx))
	if err != nil {
		s.fail(w, statusOf(err), Problem{Error: err.Error()})
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("api answer", "path", r.URL.Path, "error", err)
		s.fail(w, http.StatusInternalServerError, Problem{Error: "the answer cannot be written as JSON: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n'))
}

// badRequest is the caller's mistake.
type badRequest struct{ error }

func statusOf(err error) int {
	var bad badRequest
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *Server) fail(w http.ResponseWriter, status int, p Problem) { refuse(w, status, p) }

func (s *Server) override(r *http.Request) (any, error) {
	var body struct {
		Action string  `json:"action"`
		Weight float64 `json:"weight"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	o := event.Override{ServiceID: r.PathValue("service"), InstanceID: r.PathValue("instance"), Action: body.Action}
	switch body.Action {
	case event.ActionDrain, event.ActionUndrain:
	case event.ActionWeight:
		if body.Weight < 0 || body.Weight > 1000 {
			return nil, badRequest{fmt.Errorf("weight %v: want 0 (as configured) to 1000", body.Weight)}
		}
		o.Weight = event.Some(body.Weight)
	default:
		return nil, badRequest{fmt.Errorf("action %q: want drain, undrain or weight", body.Action)}
	}
	if err := s.src.Override(r.Context(), o, "api"); err != nil {
		return nil, err
	}
	return map[string]string{"result": control.Describe(o)}, nil
}

func (s *Server) fault(r *http.Request) (any, error) {
	var body struct {
		Heal bool `json:"heal"`
		Fault
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	if body.ErrorRate < 0 || body.ErrorRate > 1 || body.LatencyMs < 0 || body.LatencyMs > 60_000 {
		return nil, badRequest{errors.New("errorRate wants 0 to 1, latencyMs 0 to 60000")}
	}
	f := &body.Fault
	if body.Heal {
		f = nil
	}
	if err := s.src.Fault(r.Context(), r.PathValue("instance"), f); err != nil {
		return nil, err
	}
	result := "healed"
	if f != nil {
		result = "broken"
	}
	return map[string]string{"result": result}, nil
}

func decodeBody(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest{fmt.Errorf("body: %w", err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest{errors.New("body: more than one JSON value")}
	}
	return nil
}

// overviewEvents sends the overview each second as server-sent events.
func (s *Server) overviewEvents(w http.ResponseWriter, r *http.Request) {
	if s.src.Overview == nil {
		s.fail(w, http.StatusNotFound, Problem{Error: "this node has no overview", Hint: "ask a node with the role proxy or console"})
		return
	}
	stream := newStream(w)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		o, err := s.src.Overview(ctx)
		cancel()
		if err != nil {
			err = stream.send("problem", Problem{Error: err.Error()})
		} else {
			err = stream.send("overview", o)
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// tailRate is how many messages per second a live tail shows; the rest is
// counted and said, so that a busy topic hurts neither page nor broker.
const tailRate = 200

// topicEvents sends new messages as they come, in batches four times a second.
func (s *Server) topicEvents(w http.ResponseWriter, r *http.Request) {
	if s.src.Tail == nil {
		s.fail(w, http.StatusNotFound, Problem{Error: "this node runs without Kafka"})
		return
	}
	last, _ := strconv.Atoi(r.URL.Query().Get("last"))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	batches := make(chan []Message, 16)
	done := make(chan error, 1)
	go func() {
		done <- s.src.Tail(ctx, r.PathValue("topic"), min(max(last, 0), 500), func(b []Message) {
			select {
			case batches <- b:
			case <-ctx.Done():
			}
		})
	}()
	defer func() { cancel(); drain(batches, done) }()
	sendTail(ctx, newStream(w), batches, done)
}

func drain(batches chan []Message, done chan error) {
	for {
		select {
		case <-batches:
		case <-done:
			return
		}
	}
}

func sendTail(ctx context.Context, stream *stream, batches chan []Message, done chan error) {
	ticker := time.NewTicker(time.Second / 4)
	defer ticker.Stop()
	var pending []Message
	skipped, ticks := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-done:
			done <- err
			if err != nil {
				_ = stream.send("problem", Problem{Error: err.Error()})
			}
			return
		case b := <-batches:
			pending = append(pending, b...)
			if extra := len(pending) - tailRate/4; extra > 0 {
				skipped += extra
				pending = append(pending[:0], pending[extra:]...)
			}
		case <-ticker.C:
			ticks++
			if len(pending) == 0 && ticks%20 != 0 { // every 5 s something, so that a dead peer is noticed
				continue
			}
			if stream.send("messages", map[string]any{"messages": nonNil(pending), "skipped": skipped}) != nil {
				return
			}
			pending, skipped = nil, 0
		}
	}
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

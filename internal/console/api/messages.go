package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/filter"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Messages reads and writes records. *browse.Browser implements it.
type Messages interface {
	Search(ctx context.Context, q browse.Query, out browse.Found) (browse.End, error)
	Live(ctx context.Context, q browse.Query, last int, out func(browse.Live) error, trouble func(error) error) error
	Message(ctx context.Context, topic string, partition int32, offset int64, from, n int) (browse.Detail, error)
	Raw(ctx context.Context, topic string, partition int32, offset int64, key bool) ([]byte, error)
	Export(ctx context.Context, q browse.Query, emit func(kafka.Record) error) (browse.End, error)
	Picked(ctx context.Context, topic string, picks browse.Picks, emit func(kafka.Record) error) error
	Produce(ctx context.Context, topic string, m browse.NewMessage, dry bool) (browse.Produced, error)
	Redrive(ctx context.Context, spec browse.RedriveSpec) (browse.Redrive, error)
}

func (s *Server) messageRoutes() {
	have := s.src.Messages != nil
	s.handle("GET", "/api/v1/topics/{topic}/search", s.within(s.limits.searches, s.looking(s.search)))
	s.handle("GET", "/api/v1/topics/{topic}/export", s.within(s.limits.searches, s.looking(s.export)))
	s.get("/api/v1/topics/{topic}/partitions/{partition}/offsets/{offset}", have, s.message)
	s.handle("GET", "/api/v1/topics/{topic}/partitions/{partition}/offsets/{offset}/raw", s.within(s.limits.downloads, s.raw))
	s.ask("/api/v1/filters/check", have, checkFilter)
	s.change("POST", "/api/v1/topics/{topic}/messages", have, change{need: access.Operator, action: "produce.message", preview: true, body: maxMessage, limit: s.limits.downloads, do: s.produce})
	s.change("POST", "/api/v1/topics/{topic}/redrive", have, change{need: access.Operator, action: "redrive.topic", preview: true, limit: s.limits.searches, do: s.redrive})
}

// maxMessage is the largest request body with a message, in bytes: the largest value as base64, with key and headers.
const maxMessage = 24 << 20

// ofMessages adds a code and a hint to an error about messages.
func ofMessages(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, browse.ErrNoMessage):
		return problem.New(problem.NotFound, err, "")
	case errors.Is(err, browse.ErrQuery), errors.Is(err, browse.ErrNotSent), errors.Is(err, browse.ErrRedrive):
		return problem.New(problem.Invalid, err, "")
	case errors.Is(err, browse.ErrBusy):
		return problem.New(problem.Busy, err, "stop one of the searches, or wait a moment")
	}
	return ofKafka(err)
}

// looking reads the query from the address and passes it to look, which writes the response.
func (s *Server) looking(look func(w http.ResponseWriter, r *http.Request, q browse.Query)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.src.Messages == nil {
			s.refuse(w, r)
			return
		}
		q, err := browse.ParseQuery(r.PathValue("topic"), r.URL.Query(), time.Now())
		if err != nil {
			s.problem(w, ofMessages(err))
			return
		}
		look(w, r, q)
	}
}

// place reads partition and offset from the path.
func place(r *http.Request) (partition int32, offset int64, err error) {
	p, err := strconv.ParseInt(r.PathValue("partition"), 10, 32)
	if err != nil || p < 0 {
		return 0, 0, problem.Errorf(problem.Invalid, "%q is not a partition number", r.PathValue("partition"))
	}
	offset, err = strconv.ParseInt(r.PathValue("offset"), 10, 64)
	if err != nil || offset < 0 {
		return 0, 0, problem.Errorf(problem.Invalid, "%q is not an offset", r.PathValue("offset"))
	}
	return int32(p), offset, nil
}

func number(v url.Values, name string, fallback, low, high int) (int, error) {
	if v.Get(name) == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(v.Get(name))
	if err != nil || n < low || n > high {
		return 0, problem.Errorf(problem.Invalid, "%s: %q is not between %d and %d", name, v.Get(name), low, high)
	}
	return n, nil
}

func (s *Server) message(r *http.Request) (any, error) {
	p, o, err := place(r)
	if err != nil {
		return nil, err
	}
	from, err := number(r.URL.Query(), "from", 0, 0, kafka.MaxBatchBytes)
	if err != nil {
		return nil, err
	}
	n, err := number(r.URL.Query(), "bytes", browse.MaxPreview, 1, browse.MaxPart)
	if err != nil {
		return nil, err
	}
	d, err := s.src.Messages.Message(r.Context(), r.PathValue("topic"), p, o, from, n)
	return d, ofMessages(err)
}

// rawTime limits the time to send one key or value, for example 10 MB.
const rawTime = 10 * time.Minute

// raw sends a whole key or value as a file. Headers keep the browser from showing the file, whatever its content.
func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	if s.src.Messages == nil {
		s.refuse(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	p, o, err := place(r)
	if err != nil {
		s.problem(w, err)
		return
	}
	key := r.URL.Query().Get("part") == "key"
	if part := r.URL.Query().Get("part"); !key && part != "" && part != "value" {
		s.problem(w, problem.Errorf(problem.Invalid, "part: %q is neither key nor value", part))
		return
	}
	b, err := s.src.Messages.Raw(ctx, r.PathValue("topic"), p, o, key)
	if err == nil && b == nil {
		err = fmt.Errorf("%w: the message has no key or no value (tombstone)", browse.ErrNoMessage)
	}
	if err != nil {
		s.problem(w, ofMessages(err))
		return
	}
	attach(w, "application/octet-stream", browse.RawName(r.PathValue("topic"), p, o, key))
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(rawTime)) // the recorder of tests has no deadline
	_, _ = w.Write(b)
}

func attach(w http.ResponseWriter, kind, name string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
}

// export sends messages as JSON lines, in the format of smartlb kafka consume -o json. If an error occurs after the
// first byte, it breaks the connection. So the client does not take half a file for the whole file.
func (s *Server) export(w http.ResponseWriter, r *http.Request, q browse.Query) {
	var picks browse.Picks
	var err error
	if pick := r.URL.Query().Get("pick"); pick != "" {
		if picks, err = browse.ParsePicks(pick); err != nil {
			s.problem(w, ofMessages(err))
			return
		}
	}
	rc, started := http.NewResponseController(w), false
	start := func() {
		started = true
		attach(w, "application/x-ndjson", browse.ExportName(q.Topic))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	emit := func(rec kafka.Record) error {
		if !started {
			start()
		}
		if err := rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return enc.Encode(records.MessageOf(rec))
	}
	if picks != nil {
		ctx, cancel := context.WithTimeout(r.Context(), browse.MaxTime)
		defer cancel()
		err = s.src.Messages.Picked(ctx, q.Topic, picks, emit)
	} else {
		_, err = s.src.Messages.Export(r.Context(), q, emit)
	}
	switch {
	case err != nil && started:
		panic(http.ErrAbortHandler)
	case err != nil:
		s.problem(w, ofMessages(err))
	case !started:
		start()
	}
}

// FilterMistake is a mistake in one term of a filter.
type FilterMistake struct {
	Term   string `json:"term"` // text, key, header, json or where
	Line   int    `json:"line"` // starts at 1; 0: the mistake concerns the whole term
	Column int    `json:"column"`
	Text   string `json:"text"`
}

// FilterCheck says whether a filter is valid.
type FilterCheck struct {
	Valid    bool            `json:"valid"`
	Mistakes []FilterMistake `json:"mistakes"`
}

func checkFilter(r *http.Request) (any, error) {
	var q struct {
		Text   string `json:"text"`
		Key    string `json:"key"`
		Header string `json:"header"`
		JSON   string `json:"json"`
		Where  string `json:"where"`
	}
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	_, err := filter.Terms{Text: q.Text, Key: q.Key, Header: q.Header, Path: q.JSON, Where: q.Where}.Compile()
	out := FilterCheck{Valid: err == nil, Mistakes: []FilterMistake{}}
	for _, e := range apart(err) {
		var term *filter.TermError
		if !errors.As(e, &term) {
			continue
		}
		for _, inner := range apart(term.Err) {
			m := FilterMistake{Term: term.Term, Text: inner.Error()}
			var at *filter.Mistake
			if errors.As(inner, &at) {
				m.Line, m.Column, m.Text = at.Line, at.Column, at.Text
			}
			out.Mistakes = append(out.Mistakes, m)
		}
	}
	return out, nil
}

// apart splits joined errors.
func apart(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// mayWrite requires the role admin to write to a topic that controls smartlb, Kafka or Kafka Connect: by such a record,
// an operator could become an admin.
func mayWrite(r *http.Request, a *act, name string) error {
	id := access.From(r.Context())
	if a.dry || !topic.Reserved(name) || id.Role >= access.Admin {
		return nil
	}
	return problem.New(problem.Forbidden, fmt.Errorf("topic %s is reserved: its records control smartlb or Kafka, and writing them needs the role admin; %s has the role %s", name, id.User, id.Role),
		"use the calls for configuration, overrides and silences, or ask an admin")
}

func (s *Server) produce(r *http.Request, a *act) (any, error) {
	var m browse.NewMessage
	if err := decodeBody(r, &m); err != nil {
		return nil, err
	}
	name := r.PathValue("topic")
	a.target = event.Target{Kind: "topic", ID: name}
	if err := mayWrite(r, a, name); err != nil {
		return nil, err
	}
	p, err := s.src.Messages.Produce(r.Context(), name, m, a.dry)
	a.after = p // the sizes and the hash of the message, never its content
	return p, ofMessages(err)
}

func (s *Server) redrive(r *http.Request, a *act) (any, error) {
	var body struct {
		Pick  string `json:"pick"`  // PARTITION:OFFSET, separated by commas
		Query string `json:"query"` // instead of pick: the parameters of a search
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	name := r.PathValue("topic")
	a.target = event.Target{Kind: "topic", ID: name}
	v, err := url.ParseQuery(body.Query)
	if err != nil {
		return nil, problem.Errorf(problem.Invalid, "query: %w", err)
	}
	var picks browse.Picks
	if body.Pick != "" {
		if picks, err = browse.ParsePicks(body.Pick); err != nil {
			return nil, ofMessages(err)
		}
	}
	q, err := browse.ParseQuery(name, v, time.Now())
	if err != nil {
		return nil, ofMessages(err)
	}
	admin := access.From(r.Context()).Role >= access.Admin
	done, err := s.src.Messages.Redrive(r.Context(), browse.RedriveSpec{Topic: name, Picks: picks, Query: q, Dry: a.dry, Reserved: admin})
	a.after = done
	return done, ofMessages(err)
}

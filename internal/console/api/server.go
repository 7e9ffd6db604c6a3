package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	description "github.com/smartlb/smartlb/api"
	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// ErrNotFound means that the name does not exist. Sources return it.
var ErrNotFound = errors.New("not found")

// ErrUnavailable means that the source cannot answer now, for example without Kafka.
var ErrUnavailable = errors.New("not available")

// Sources give the handlers their data. If a function is nil, its calls respond with 404 and an explanation. The server
// calls all functions concurrently; their context limits them.
type Sources struct {
	ReadOnly bool                 // this server refuses all changes
	Limits   *Limits              // limits on concurrent use; nil: the server makes its own limits
	Gate     *access.Gate         // authentication; nil: every client is access.Local
	Audit    func(event.AuditLog) // called for each attempted change; may be nil

	Unauthenticated func(a event.AuditLog, address string) // called for each failed login; nil: Audit is called

	Node     func() Node
	Overview func(ctx context.Context) (Overview, error)
	Explain  func(ctx context.Context, service, instance string) (Explanation, error) // service may be empty
	Override func(ctx context.Context, o event.Override, actor, reason string) (configlog.Applied, error)
	History  func(ctx context.Context) ([]configlog.Entry, error)
	Groups   Groups   // nil without Kafka
	Messages Messages // nil without Kafka
	Connect  Connect  // nil without Kafka
	// Fault sets the fault of a demo instance; a nil fault removes it. It is nil without --demo.
	Fault func(ctx context.Context, instance string, f *Fault) error

	Topics       Topics
	TopicChanges TopicChanges
	Cluster      Cluster
	Balancer     // routing, configuration, alerts and audit
}

// Server answers /api/v1.
type Server struct {
	src    Sources
	log    *slog.Logger
	mux    *http.ServeMux
	calls  []string
	limits *Limits
	open   map[string]bool // calls that need no login
	feed   feed
}

// New returns the handler of the API.
func New(src Sources, log *slog.Logger) *Server {
	s := &Server{src: src, log: log, mux: http.NewServeMux(), open: map[string]bool{}}
	s.feed.moment = src.Moment
	if src.Moment == nil {
		s.feed.moment = func(ctx context.Context, _ int) (Overview, error) { return src.Overview(ctx) }
	}
	if s.limits = src.Limits; s.limits == nil {
		s.limits = NewLimits()
	}
	s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); !s.open[pattern] {
		var ok bool
		if r, ok = s.identified(w, r); !ok {
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// Calls lists the calls of the server, each as METHOD PATH.
func (s *Server) Calls() []string { return slices.Clone(s.calls) }

// handle registers one call.
func (s *Server) handle(method, path string, h http.HandlerFunc) {
	s.calls = append(s.calls, method+" "+path)
	s.mux.HandleFunc(method+" "+path, h)
}

// routes registers every call. The calls of each noun are in one file.
func (s *Server) routes() {
	s.handle("GET", "/api/v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(description.OpenAPI)
	})
	s.get("/api/v1/me", true, func(r *http.Request) (any, error) { return s.meOf(access.From(r.Context())), nil })
	s.loginRoutes()
	s.routingRoutes()
	s.topicRoutes()
	s.groupRoutes()
	s.clusterRoutes()
	s.messageRoutes()
	s.connectRoutes()
	s.demoRoutes()
	s.decisionRoutes()
	s.configRoutes()
	s.alertRoutes()
	s.auditRoutes()
	s.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, Problem{Error: "there is no " + r.Method + " " + r.URL.Path, Hint: "the calls are in /api/v1/openapi.yaml"})
	})
}

// meOf describes the user and the permissions on this server.
func (s *Server) meOf(id access.Identity) Me {
	return Me{User: id.User, Role: id.Role.String(), ReadOnly: s.src.ReadOnly, Local: s.src.Gate.Open()}
}

// callTimeout limits how long one call waits for Kafka or another node.
const callTimeout = 10 * time.Second

// get registers a call that reads.
func (s *Server) get(path string, have bool, f func(*http.Request) (any, error)) {
	s.handle("GET", path, s.within(s.limits.calls, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, have, f) }))
}

// read registers a call that reads all or much of a topic.
func (s *Server) read(path string, have bool, f func(*http.Request) (any, error)) {
	s.handle("GET", path, s.within(s.limits.searches, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, have, f) }))
}

// ask registers a call that reads and has a body, because its parameters are long.
func (s *Server) ask(path string, have bool, f func(*http.Request) (any, error)) {
	s.handle("POST", path, s.within(s.limits.checks, func(w http.ResponseWriter, r *http.Request) {
		if s.takesJSON(w, r) {
			s.answer(w, r, have, f)
		}
	}))
}

// change is a call that changes something.
type change struct {
	need   access.Role
	action string // verb.object, for the audit log
	// preview: with ?dryRun=true, do only returns the expected result. Viewers may call it so, and a read-only server
	// permits it.
	preview bool
	body    int64        // largest request body in bytes; 0: maxBody
	limit   *quota.Quota // the limit that counts it; nil: calls
	do      func(*http.Request, *act) (any, error)
}

// act is one change in progress. Fields that do sets appear in the audit log.
type act struct {
	dry           bool   // return the expected result, change nothing
	action        string // more exact than the action of the call; empty: the action of the call
	target        event.Target
	before, after any    // as JSON in the audit log; nil: omitted
	reason        string // from the user
	author        string // more exact than the user of the request; empty: that user
}

// change registers a call that changes something. The call needs a role, a read-only server refuses it, and every
// attempt is in the audit log.
func (s *Server) change(method, path string, have bool, c change) {
	s.handle(method, path, s.within(cmp.Or(c.limit, s.limits.calls), func(w http.ResponseWriter, r *http.Request) {
		if method != http.MethodDelete && !s.takesUpTo(w, r, cmp.Or(c.body, maxBody)) {
			return
		}
		s.answer(w, r, have, func(r *http.Request) (any, error) { return s.carryOut(r, c) })
	}))
}

func (s *Server) carryOut(r *http.Request, c change) (any, error) {
	a := act{dry: c.preview && r.URL.Query().Get("dryRun") == "true"}
	if a.dry {
		return c.do(r, &a)
	}
	id := access.From(r.Context())
	switch {
	case s.src.ReadOnly:
		return nil, forbidden{errors.New("this node is read-only"), "its console was started with --read-only, which also applies to its admin listener; use another node"}
	case id.Role < c.need:
		err := forbidden{fmt.Errorf("%s has the role %s, but this call needs the role %s", id.User, id.Role, c.need), "ask a user with that role"}
		s.audit(r, c, a, err)
		return nil, err
	}
	v, err := c.do(r, &a)
	s.audit(r, c, a, err)
	return v, err
}

func (s *Server) audit(r *http.Request, c change, a act, err error) {
	var bad badRequest
	if s.src.Audit == nil || errors.As(err, &bad) { // the server attempted nothing
		return
	}
	if a.target.Kind == "" {
		a.target = event.Target{Kind: "call", ID: r.Method + " " + r.URL.Path}
	}
	rec := event.AuditLog{
		Actor: event.Actor{Type: "user", ID: access.From(r.Context()).User}, Action: cmp.Or(a.action, c.action), Target: a.target,
		Before: asJSON(a.before), After: asJSON(a.after), Result: event.ResultSuccess, Reason: a.reason,
	}
	if a.author != "" {
		rec.Actor.ID = a.author
	}
	var no forbidden
	switch {
	case errors.As(err, &no):
		rec.Result, rec.Reason = event.ResultDenied, failure(err, a.reason)
	case err != nil:
		rec.Result, rec.Reason = event.ResultError, failure(err, a.reason)
	}
	s.src.Audit(rec)
}

// failure combines the error and the reason that the user gave.
func failure(err error, reason string) string {
	if reason == "" {
		return err.Error()
	}
	return err.Error() + " (" + reason + ")"
}

func asJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(v))
	}
	return b
}

// maxBody is the largest request body of a call, in bytes.
const maxBody = 1 << 20

func (s *Server) takesJSON(w http.ResponseWriter, r *http.Request) bool {
	return s.takesUpTo(w, r, maxBody)
}

func (s *Server) takesUpTo(w http.ResponseWriter, r *http.Request, limit int64) bool {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		s.fail(w, http.StatusUnsupportedMediaType, Problem{Error: "the body must be JSON", Hint: "send Content-Type: application/json"})
		return false
	}
	if r.ContentLength > limit {
		s.problem(w, tooLarge(limit))
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return true
}

// tooLarge is the error for a body of more than limit bytes.
func tooLarge(limit int64) error {
	return refusal{fmt.Errorf("the body is larger than %d KiB", limit>>10), http.StatusRequestEntityTooLarge, "send a smaller body"}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, have bool, f func(*http.Request) (any, error)) {
	if !have {
		s.refuse(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	v, err := f(r.WithContext(ctx))
	if err != nil {
		s.problem(w, err)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("api response failed", "path", r.URL.Path, "error", err)
		s.fail(w, http.StatusInternalServerError, Problem{Error: "the response cannot be written as JSON: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(readable.JSON(body), '\n'))
}

// refuse responds to a call for which this node has no source.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	s.fail(w, http.StatusNotFound, Problem{Error: "this node cannot answer " + r.URL.Path, Hint: "the node does not have the role, runs without Kafka, or runs without --demo"})
}

// problem responds with an error.
func (s *Server) problem(w http.ResponseWriter, err error) {
	if errors.Is(err, browse.ErrBusy) {
		w.Header().Set("Retry-After", strconv.Itoa(int(busySearchWait.Seconds())))
	}
	s.fail(w, statusOf(err), problemOf(err))
}

func problemOf(err error) Problem {
	p := Problem{Error: err.Error()}
	var no forbidden
	var why refusal
	switch {
	case errors.As(err, &no):
		p.Hint = no.hint
	case errors.As(err, &why):
		p.Hint = why.hint
	}
	return p
}

// badRequest is a mistake of the client.
type badRequest struct{ error }

// forbidden is refused on every retry.
type forbidden struct {
	error
	hint string
}

func statusOf(err error) int {
	var bad badRequest
	var no forbidden
	var many access.TooMany
	var why refusal
	switch {
	case errors.As(err, &why):
		return why.status
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, configlog.ErrLost):
		return http.StatusConflict
	case errors.Is(err, access.ErrCredentials):
		return http.StatusUnauthorized
	case errors.As(err, &many):
		return http.StatusTooManyRequests
	case errors.Is(err, access.ErrNoPasswords), errors.Is(err, access.ErrNoIssuer):
		return http.StatusNotFound
	case errors.As(err, &no):
		return http.StatusForbidden
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrUnavailable), errors.Is(err, journal.ErrAway), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *Server) fail(w http.ResponseWriter, status int, p Problem) { refuse(w, status, p) }

func decodeBody(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case err != nil:
		return badRequest{fmt.Errorf("body: %w", err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest{errors.New("body: more than one JSON value")}
	}
	return nil
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

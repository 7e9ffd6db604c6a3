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
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// Sources give the handlers their data. If a function is nil, its calls respond with 404 and an explanation. An error
// that is a problem.Error keeps its code. The server calls all functions concurrently; their context limits them.
type Sources struct {
	ReadOnly bool                 // this server refuses all changes
	Limits   *Limits              // limits on concurrent use; nil: the server makes its own limits
	Gate     *access.Gate         // authentication; nil: every client is access.Local
	Audit    func(event.AuditLog) // called for each attempted change; may be nil

	Unauthenticated func(a event.AuditLog, address string) // called for each failed login; nil: Audit is called

	Node     func() Node
	Overview func(ctx context.Context) (Overview, error)
	Explain  func(ctx context.Context, service, instance string) (Explanation, error) // service may be empty
	Capacity func(ctx context.Context, q CapacityQuery) ([]Capacity, error)
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
	s.requestRoutes()
	s.configRoutes()
	s.alertRoutes()
	s.auditRoutes()
	s.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, problem.Problem{Code: problem.NotServed, Error: "there is no " + r.Method + " " + r.URL.Path, Hint: "the calls are in /api/v1/openapi.yaml"})
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
		return nil, problem.New(problem.ReadOnly, errors.New("this node is read-only"), "its console was started with --read-only, which also applies to its admin listener; use another node")
	case id.Role < c.need:
		err := problem.New(problem.Forbidden, fmt.Errorf("%s has the role %s, but this call needs the role %s", id.User, id.Role, c.need), "ask a user with that role")
		s.audit(r, c, a, err)
		return nil, err
	}
	v, err := c.do(r, &a)
	s.audit(r, c, a, err)
	return v, err
}

func (s *Server) audit(r *http.Request, c change, a act, err error) {
	code := codeOf(err)
	if s.src.Audit == nil || code == problem.Invalid { // the server attempted nothing
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
	switch {
	case code == problem.Forbidden:
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
		fail(w, problem.Problem{Code: problem.NotJSON, Error: "the body must be JSON", Hint: "send Content-Type: application/json"})
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
	return problem.New(problem.TooLarge, fmt.Errorf("the body is larger than %d KiB", limit>>10), "send a smaller body")
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
		fail(w, problem.Problem{Code: problem.Internal, Error: "the response cannot be written as JSON: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(readable.JSON(body), '\n'))
}

// refuse responds to a call for which this node has no source.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	fail(w, problem.Problem{Code: problem.NotServed, Error: "this node cannot answer " + r.URL.Path, Hint: "the node does not have the role, runs without Kafka, or runs without --demo"})
}

// problem responds with an error.
func (s *Server) problem(w http.ResponseWriter, err error) {
	if errors.Is(err, browse.ErrBusy) {
		w.Header().Set("Retry-After", strconv.Itoa(int(busySearchWait.Seconds())))
	}
	fail(w, problemOf(err))
}

// problemOf returns the body for an error.
func problemOf(err error) problem.Problem {
	p := problem.Problem{Error: err.Error(), Code: codeOf(err)}
	var known *problem.Error
	if errors.As(err, &known) {
		p.Hint = known.Hint
	}
	return p
}

// codeOf returns the code of an error, empty for nil. Errors of packages that know nothing of the API get theirs here.
func codeOf(err error) problem.Code {
	var many access.TooMany
	code := problem.CodeOf(err)
	switch {
	case err == nil, code != "":
		return code
	case errors.Is(err, configlog.ErrLost):
		return problem.Conflict
	case errors.Is(err, access.ErrCredentials):
		return problem.Unauthenticated
	case errors.As(err, &many):
		return problem.Limited
	case errors.Is(err, access.ErrNoPasswords), errors.Is(err, access.ErrNoIssuer):
		return problem.NotServed
	case errors.Is(err, journal.ErrAway):
		return problem.Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return problem.Timeout
	}
	return problem.Internal
}

// fail responds with a problem. Its code sets the status.
func fail(w http.ResponseWriter, p problem.Problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Code.Status())
	_ = json.NewEncoder(w).Encode(p)
}

func decodeBody(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case err != nil:
		return problem.Errorf(problem.Invalid, "body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem.Errorf(problem.Invalid, "body: more than one JSON value")
	}
	return nil
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/base/linediff"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/control/routetest"
	"github.com/smartlb/smartlb/internal/event"
)

// Configuration is the current revision and its state on each node.
type Configuration struct {
	Revision  string           `json:"revision"` // empty: the log holds no revision
	Document  string           `json:"document"`
	Overrides []event.Override `json:"overrides"`
	Nodes     []NodeConfig     `json:"nodes"` // nodes that reported a status in the last 15 s and route
}

// NodeConfig is the state of the configuration on one node.
type NodeConfig struct {
	Node            string   `json:"node"`
	State           string   `json:"state"` // applied, refused, lkg, none
	Revision        string   `json:"revision"`
	RefusedRevision string   `json:"refusedRevision,omitempty"`
	Errors          []string `json:"errors"`
	LostLog         bool     `json:"lostLog"`
	AgeMs           float64  `json:"ageMs"` // age of the node's report
	AdminURL        string   `json:"adminUrl,omitempty"`
	Version         string   `json:"version,omitempty"`
}

// Comparison is the difference of two documents, line by line.
type Comparison struct {
	From  string          `json:"from"`
	To    string          `json:"to"`
	Lines []linediff.Line `json:"lines"`
}

// CheckedDocument holds the mistakes in a document and its difference from the current document.
type CheckedDocument struct {
	OK       bool            `json:"ok"`
	Mistakes config.Mistakes `json:"mistakes"`
	Warnings config.Mistakes `json:"warnings"` // valid, but without effect
	Base     string          `json:"base"`     // the current revision
	Lines    []linediff.Line `json:"lines"`
}

// Published is a new revision; with dryRun, the revision that the server would publish.
type Published struct {
	Revision string          `json:"revision"` // empty with dryRun
	Base     string          `json:"base"`
	Lines    []linediff.Line `json:"lines"`
}

func (s *Server) configRoutes() {
	s.get("/api/v1/config", s.src.Configuration != nil, s.configuration)
	s.get("/api/v1/config/history", s.src.History != nil, func(r *http.Request) (any, error) {
		h, err := s.src.History(r.Context())
		if r.URL.Query().Get("documents") == "false" {
			h = append([]configlog.Entry(nil), h...)
			for i := range h {
				h[i].Document = ""
			}
		}
		return nonNil(h), err
	})
	s.get("/api/v1/config/revisions/{revision}", s.src.Configuration != nil, func(r *http.Request) (any, error) {
		st, err := s.src.Configuration(r.Context())
		if err != nil {
			return nil, err
		}
		e, err := st.Find(r.PathValue("revision"))
		return e, ofConfig(err)
	})
	s.get("/api/v1/config/diff", s.src.Configuration != nil, s.configDiff)
	s.ask("/api/v1/config/check", s.src.Configuration != nil, s.checkDocument)
	s.ask("/api/v1/config/route", s.src.Configuration != nil, s.testRoute)
	s.change("POST", "/api/v1/config/revisions", s.src.Publish != nil && s.src.Configuration != nil,
		change{need: access.Admin, action: "publish.config", preview: true, do: s.applyDocument})
	s.change("POST", "/api/v1/config/revisions/{revision}/rollback", s.src.Publish != nil && s.src.Configuration != nil,
		change{need: access.Admin, action: "rollback.config", preview: true, do: s.rollback})
}

func (s *Server) configuration(r *http.Request) (any, error) {
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	c := Configuration{Revision: st.Revision, Document: st.Document, Overrides: nonNil(st.Overrides), Nodes: []NodeConfig{}}
	if s.src.Nodes == nil {
		return c, nil
	}
	nodes, err := s.src.Nodes(r.Context())
	for _, n := range nodes {
		if n.ConfigState == event.ConfigNone && n.Revision == "" {
			continue // this node does not route
		}
		c.Nodes = append(c.Nodes, NodeConfig{
			Node: n.Node, State: n.ConfigState, Revision: n.Revision, RefusedRevision: n.RefusedRevision, Errors: nonNil(n.Errors), LostLog: n.LostLog,
			AgeMs: float64(time.Since(n.Timestamp)) / 1e6, AdminURL: n.AdminURL, Version: n.Version,
		})
	}
	return c, err
}

// ofConfig adds a code and a hint to an error about revisions; nil stays nil.
func ofConfig(err error) error {
	var revision *configlog.NoRevision
	var document *configlog.NoDocument
	if errors.As(err, &revision) || errors.As(err, &document) {
		return problem.New(problem.NotFound, err, "")
	}
	return err
}

func (s *Server) configDiff(r *http.Request) (any, error) {
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	c := Comparison{From: q.Get("from"), To: q.Get("to")}
	if c.To == "" {
		c.To = st.Revision
	}
	if c.From == "" {
		return nil, problem.Errorf(problem.Invalid, "from: name the revision to compare with")
	}
	before, err := st.DocumentOf(c.From)
	if err != nil {
		return nil, ofConfig(err)
	}
	after, err := st.DocumentOf(c.To)
	if err != nil {
		return nil, ofConfig(err)
	}
	c.Lines = nonNil(linediff.Compare(before, after))
	return c, nil
}

func (s *Server) checkDocument(r *http.Request) (any, error) {
	var body struct {
		Document string `json:"document"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	mistakes, warnings := mistakesOf(body.Document)
	return CheckedDocument{OK: len(mistakes) == 0, Mistakes: mistakes, Warnings: warnings, Base: st.Revision, Lines: nonNil(linediff.Compare(st.Document, body.Document))}, nil
}

// testRoute says which route of the current configuration takes a request.
func (s *Server) testRoute(r *http.Request) (any, error) {
	var body routetest.Request
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	if st.Revision == "" {
		return nil, problem.New(problem.NotFound, errors.New("the log holds no configuration yet"), "publish one with smartlb config apply FILE")
	}
	t, err := config.ParseTraffic([]byte(st.Document))
	if err != nil {
		return nil, err
	}
	out, err := routetest.Run(t, body, time.Now())
	if err != nil {
		return nil, problem.New(problem.Invalid, err, "")
	}
	return out, nil
}

// mistakesOf checks a document. Both lists are never nil.
func mistakesOf(document string) (mistakes, warnings config.Mistakes) {
	warnings = config.Mistakes{}
	t, err := config.Check([]byte(document))
	switch {
	case errors.As(err, &mistakes):
		return mistakes, warnings
	case err != nil:
		return config.Mistakes{{Text: err.Error()}}, warnings
	}
	return config.Mistakes{}, append(warnings, t.Warnings...)
}

func (s *Server) applyDocument(r *http.Request, a *act) (any, error) {
	var body struct {
		Document string `json:"document"`
		Base     string `json:"base"`
		Comment  string `json:"comment"`
		Adopt    bool   `json:"adopt"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	return s.publish(r.Context(), a, st, configlog.Change{Document: []byte(body.Document), Base: body.Base, Comment: body.Comment, Adopt: body.Adopt})
}

func (s *Server) rollback(r *http.Request, a *act) (any, error) {
	var body struct {
		Base    string `json:"base"`
		Comment string `json:"comment"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	c, err := st.Rollback(r.PathValue("revision"), body.Comment)
	if err != nil {
		return nil, ofConfig(err)
	}
	c.Base = cmp.Or(body.Base, c.Base)
	return s.publish(r.Context(), a, st, c)
}

// refusedChange returns the problem of a change that must not be published.
func refusedChange(err error) error {
	var m config.Mistakes
	if errors.As(err, &m) {
		return problem.Errorf(problem.Invalid, "the document has %d mistakes, the first: %s", len(m), m[0])
	}
	return problem.New(problem.Invalid, err, "")
}

func (s *Server) publish(ctx context.Context, a *act, st configlog.State, c configlog.Change) (any, error) {
	if err := c.Check(); err != nil {
		return nil, refusedChange(err)
	}
	verdict := st.Judge(c)
	if verdict == configlog.Loses {
		return nil, problem.New(problem.Conflict, fmt.Errorf("the change is based on revision %q, but the current revision is %q", c.Base, st.Revision), "look at the changes in between, and make the change again on the current revision")
	}
	out := Published{Base: c.Base, Lines: nonNil(linediff.Compare(st.Document, string(c.Document)))}
	if a.dry {
		return out, nil
	}
	if verdict == configlog.Unchanged {
		return nil, problem.Errorf(problem.Conflict, "nothing would change: the document is the current one")
	}
	c.Author, a.reason = access.From(ctx).User, c.Comment
	a.target = event.Target{Kind: "revision"}
	a.before, a.after = map[string]string{"revision": st.Revision}, map[string]any{"base": c.Base, "comment": c.Comment, "adopt": c.Adopt, "lines": linediff.Unified(out.Lines, 0)}
	name, err := s.src.Publish(ctx, c)
	a.target.ID = name
	out.Revision = name
	return out, err
}

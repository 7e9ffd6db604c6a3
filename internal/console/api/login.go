package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
)

func (s *Server) loginRoutes() {
	s.public("GET", "/api/v1/login", func(w http.ResponseWriter, r *http.Request) {
		password, issuer := s.src.Gate.Methods()
		s.answer(w, r, true, func(*http.Request) (any, error) { return LoginMethods{Password: password, Issuer: issuer}, nil })
	})
	s.public("POST", "/api/v1/login", func(w http.ResponseWriter, r *http.Request) {
		if s.takesJSON(w, r) {
			s.answer(w, r, true, func(r *http.Request) (any, error) { return s.login(w, r) })
		}
	})
	s.public("GET", "/api/v1/login/oidc", func(w http.ResponseWriter, r *http.Request) {
		if err := s.src.Gate.Redirect(w, r, r.URL.Query().Get("back")); err != nil {
			s.problem(w, err)
		}
	})
	s.public("GET", "/api/v1/login/oidc/callback", func(w http.ResponseWriter, r *http.Request) {
		id, back, err := s.src.Gate.Callback(w, r)
		s.auditLogin(r, id.User, err)
		if err != nil {
			fail(w, problem.Problem{Code: problem.Forbidden, Error: err.Error(), Hint: "go back to / and log in again"})
			return
		}
		http.Redirect(w, r, back, http.StatusSeeOther)
	})
	s.public("POST", "/api/v1/logout", func(w http.ResponseWriter, r *http.Request) {
		if s.takesJSON(w, r) {
			s.answer(w, r, true, func(r *http.Request) (any, error) {
				s.src.Gate.Logout(w, r)
				return map[string]string{"result": "logged out"}, nil
			})
		}
	})
}

// public serves a call that needs no login.
func (s *Server) public(method, path string, h http.HandlerFunc) {
	s.open[method+" "+path] = true
	s.handle(method, path, h)
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) (any, error) {
	var body struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	if len(body.User) > 256 || len(body.Password) > 256 {
		return nil, problem.Errorf(problem.Invalid, "user and password: want at most 256 bytes each")
	}
	id, err := s.src.Gate.Login(w, r, body.User, body.Password)
	s.auditLogin(r, body.User, err)
	if err != nil {
		return nil, s.tooMany(w, err)
	}
	return s.meOf(id), nil
}

// tooMany sets the time after which the client may retry.
func (s *Server) tooMany(w http.ResponseWriter, err error) error {
	var many access.TooMany
	if errors.As(err, &many) {
		w.Header().Set("Retry-After", strconv.Itoa(int(many.Wait.Seconds())+1))
	}
	return err
}

func (s *Server) auditLogin(r *http.Request, user string, err error) {
	if s.src.Audit == nil {
		return
	}
	rec := event.AuditLog{Actor: event.Actor{Type: "user", ID: user}, Action: "login.user", Target: event.Target{Kind: "user", ID: user}, Result: event.ResultSuccess}
	if err != nil {
		rec.Result, rec.Reason = event.ResultDenied, err.Error()
		if s.src.Unauthenticated != nil {
			s.src.Unauthenticated(rec, s.src.Gate.Address(r))
			return
		}
	}
	s.src.Audit(rec)
}

// identified returns the request with the identity of its client. Without an identity it writes the error response and
// returns false.
func (s *Server) identified(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	id, ok, err := s.src.Gate.Identify(r)
	switch {
	case ok:
		return r.WithContext(access.With(r.Context(), id)), true
	case err != nil:
		s.problem(w, s.tooMany(w, err))
	default:
		fail(w, problem.Problem{Code: problem.Unauthenticated, Error: "login required", Hint: "log in at / in a browser; scripts send a name and password by HTTP Basic"})
	}
	return nil, false
}

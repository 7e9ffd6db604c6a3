package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
)

// ForwardAuth asks an authentication service about each request before it goes on.
type ForwardAuth struct {
	URL string `yaml:"url"` // http or https URL that gets a GET for each request, with the path and query of this URL; required
	// names of request headers that the service gets, in addition to Authorization, Cookie and X-Forwarded-*, at most 32; default none
	AuthRequestHeaders []string `yaml:"authRequestHeaders"`
	// names of headers of an answer with 2xx that the instance gets, at most 32. The proxy removes these headers from what
	// clients send; default none
	AuthResponseHeaders []string      `yaml:"authResponseHeaders"`
	Timeout             time.Duration `yaml:"timeout"`  // longest time from the question to the end of the answer, 1ms to 1m; default 5s
	FailOpen            bool          `yaml:"failOpen"` // requests go on if the service gives no valid answer in time, or answers with 5xx; default false
}

const maxAuthHeaders = 32

func (c *checker) forwardAuth(path string, r Route, reserved []string) {
	f := *r.ForwardAuth
	switch {
	case f.URL == "":
		c.fail(path+".url", "missing: want the URL of the authentication service")
	case len(f.URL) > maxURL:
		c.fail(path+".url", "has %d bytes, at most %d are possible", len(f.URL), maxURL)
	default:
		if err := forwardauth.CheckURL(f.URL); err != nil {
			c.fail(path+".url", "%.200q: %v", f.URL, err)
		}
	}
	if f.Timeout < time.Millisecond || f.Timeout > time.Minute {
		c.fail(path+".timeout", "want 1ms to 1m, got %s", f.Timeout)
	}
	c.headerNames(path+".authRequestHeaders", f.AuthRequestHeaders)
	at := path + ".authResponseHeaders"
	if !c.headerNames(at, f.AuthResponseHeaders) {
		return
	}
	others := slices.Concat(keys(r.RequestHeaders.Set), keys(r.RequestHeaders.Add), r.RequestHeaders.Remove)
	for i, name := range f.AuthResponseHeaders {
		one := fmt.Sprintf("%s[%d]", at, i)
		same := func(n string) bool { return sameHeader(n, name) }
		switch {
		case slices.ContainsFunc(reserved, same):
			c.fail(one, "%s: clientCertificates of a listener writes this header", name)
		case slices.ContainsFunc(others, same):
			c.fail(one, "requestHeaders edits the header %s too: remove one of them", name)
		case r.JWT != nil && slices.ContainsFunc(keys(r.JWT.Claims), same):
			c.fail(one, "jwt.claims writes the header %s too: remove one of them", name)
		}
	}
}

// headerNames checks names of headers and reports whether they are not too many.
func (c *checker) headerNames(path string, names []string) bool {
	if len(names) > maxAuthHeaders {
		c.fail(path, "%d headers are more than %d", len(names), maxAuthHeaders)
		return false
	}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := action.CheckName(name); err != nil {
			c.fail(at, "%v", err)
		}
		if slices.ContainsFunc(names[:i], func(n string) bool { return sameHeader(n, name) }) {
			c.fail(at, "the header %s is in the list twice", name)
		}
	}
	return true
}

// AuthState is what the questions of a node to authentication services have in common, and what stays when the configuration
// changes.
type AuthState struct {
	Client *forwardauth.Client
	Counts map[string]*forwardauth.Counts // of the current table, by route
}

// nextAuth is what the checks of requests of the next table have in common.
type nextAuth struct {
	jwt    nextJWT
	counts map[string]*forwardauth.Counts
}

// compile adds the checks of a route's tokens and by its authentication service. It returns the edits that write what they
// proved.
func (n *nextAuth) compile(r Route, out *action.Actions, local Local) ([]action.Edit, error) {
	claims, err := n.jwt.compile(r, out, local)
	if err != nil {
		return nil, err
	}
	return action.ProvenEdits(slices.Concat(claims, compileForwardAuth(r, out, local.Auth, n.counts))), nil
}

// compileForwardAuth adds the check of a route. It returns the headers whose values the answers have.
func compileForwardAuth(r Route, out *action.Actions, state AuthState, next map[string]*forwardauth.Counts) []string {
	f := r.ForwardAuth
	if f == nil {
		return nil
	}
	count := state.Counts[r.Name]
	if count == nil {
		count = new(forwardauth.Counts)
	}
	next[r.Name] = count
	out.ForwardAuth = forwardauth.New(forwardauth.Settings{
		Route: r.Name, URL: f.URL, Pass: f.AuthRequestHeaders, Take: f.AuthResponseHeaders, Timeout: f.Timeout, Open: f.FailOpen,
		Client: state.Client, Counts: count,
	})
	return f.AuthResponseHeaders
}

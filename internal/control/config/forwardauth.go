package config

import (
	"fmt"
	"slices"
	"strings"
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
	AuthResponseHeaders []string `yaml:"authResponseHeaders"`
	// names of headers of an answer with 2xx that the client gets with the response, at most 32. Set-Cookie is added to the
	// cookies of the response, other headers replace those of the instance; default none
	AuthClientHeaders []string `yaml:"authClientHeaders"`
	// PEM file with the certificates of the authorities of the service, on each node, for an https URL. It is read when the
	// configuration is applied; default the authorities of the system
	CA       string        `yaml:"ca"`
	Timeout  time.Duration `yaml:"timeout"`  // longest time from the question to the end of the answer, 1ms to 1m; default 5s
	FailOpen bool          `yaml:"failOpen"` // requests go on if the service gives no valid answer in time, or answers with 5xx; default false
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
	if f.CA != "" && strings.HasPrefix(strings.ToLower(f.URL), "http:") {
		c.fail(path+".ca", "has no effect: the URL is not https")
	}
	if f.Timeout < time.Millisecond || f.Timeout > time.Minute {
		c.fail(path+".timeout", "want 1ms to 1m, got %s", f.Timeout)
	}
	c.headerNames(path+".authRequestHeaders", f.AuthRequestHeaders)
	c.clientHeaders(path+".authClientHeaders", r)
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

// clientHeaders checks the names of headers that the client gets from the authentication service.
func (c *checker) clientHeaders(path string, r Route) {
	names := r.ForwardAuth.AuthClientHeaders
	if !c.headerNames(path, names) {
		return
	}
	edited := slices.Concat(keys(r.ResponseHeaders.Set), keys(r.ResponseHeaders.Add), r.ResponseHeaders.Remove)
	for i, name := range names {
		at, lower := fmt.Sprintf("%s[%d]", path, i), strings.ToLower(name)
		switch {
		case slices.Contains([]string{"content-type", "content-encoding", "content-range"}, lower):
			c.fail(at, "%s: describes the body of the answer, which the client does not get", name)
		case slices.ContainsFunc(edited, func(n string) bool { return sameHeader(n, name) }):
			c.fail(at, "responseHeaders edits the header %s too: remove one of them", name)
		case r.CORS != nil && strings.HasPrefix(lower, "access-control-"):
			c.fail(at, "cors writes the header %s", name)
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
	taken, err := compileForwardAuth(r, out, local.Auth, n.counts)
	if err != nil {
		return nil, err
	}
	return action.ProvenEdits(slices.Concat(claims, taken)), nil
}

// compileForwardAuth adds the check of a route, and reads the file with its authorities. It returns the headers whose values the
// answers have.
func compileForwardAuth(r Route, out *action.Actions, state AuthState, next map[string]*forwardauth.Counts) ([]string, error) {
	f := r.ForwardAuth
	if f == nil {
		return nil, nil
	}
	client, err := state.Client.Trusting(f.CA)
	if err != nil {
		return nil, fmt.Errorf("forwardAuth.%w", err)
	}
	count := state.Counts[r.Name]
	if count == nil {
		count = new(forwardauth.Counts)
	}
	next[r.Name] = count
	out.ForwardAuth = forwardauth.New(forwardauth.Settings{
		Route: r.Name, URL: f.URL, Pass: f.AuthRequestHeaders, Take: f.AuthResponseHeaders, Give: f.AuthClientHeaders, Timeout: f.Timeout, Open: f.FailOpen,
		Client: client, Counts: count,
	})
	return f.AuthResponseHeaders, nil
}

package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// Access says which clients may use a route. Others get 403.
type Access struct {
	Allow []netip.Prefix `yaml:"allow"` // networks whose clients may use the route, at most 1000; default all
	Deny  []netip.Prefix `yaml:"deny"`  // networks whose clients may not, also if `allow` has them, at most 1000; default none
}

// BasicAuth requires a name and a password. Requests without them get 401.
type BasicAuth struct {
	Realm string      `yaml:"realm"` // what the browser shows beside the question, at most 200 characters; default the name of the route
	Users []BasicUser `yaml:"users"` // at most 1000 users; required
}

// BasicUser may use a route.
type BasicUser struct {
	Name         string `yaml:"name"`         // name of the user, without colons, unique, at most 128 characters; required
	PasswordHash string `yaml:"passwordHash"` // bcrypt hash of the password, of cost 10 to 16. `smartlb config hash-password` makes it; required
}

// CORS lets pages of other origins use a route. The proxy answers their preflights, and writes the Access-Control headers of
// all responses instead of the instances.
type CORS struct {
	AllowOrigins []string `yaml:"allowOrigins"` // origins such as `https://app.example.com`, `https://*.example.com` for all names below example.com, or `*`, at most 100; required
	AllowMethods []string `yaml:"allowMethods"` // methods that pages may use; default GET, HEAD, POST
	AllowHeaders []string `yaml:"allowHeaders"` // headers that pages may send, or `*`; default those that browsers always allow
	// headers of responses that pages may read, or `*`; default those that browsers always allow
	ExposeHeaders    []string      `yaml:"exposeHeaders"`
	AllowCredentials bool          `yaml:"allowCredentials"` // pages may send cookies and passwords. Not with `*`; default false
	MaxAge           time.Duration `yaml:"maxAge"`           // how long browsers keep the answer to a preflight, in whole seconds, 0s to 24h; default 5s
}

const (
	maxNetworks = 1000
	maxUsers    = 1000
	maxOrigins  = 100
	maxRealm    = 200
	maxUserName = 128
)

func (r *Route) fillAccess(path string, given func(string) bool) {
	if r.BasicAuth != nil && r.BasicAuth.Realm == "" {
		r.BasicAuth.Realm = r.Name
	}
	if r.JWT != nil {
		r.JWT.fill(path+".jwt", given)
	}
	if r.ForwardAuth != nil {
		orDefault(&r.ForwardAuth.Timeout, 5*time.Second, given(path+".forwardAuth.timeout"))
	}
	if r.CORS != nil {
		orDefault(&r.CORS.MaxAge, 5*time.Second, given(path+".cors.maxAge"))
		if !given(path + ".cors.allowMethods") {
			r.CORS.AllowMethods = []string{"GET", "HEAD", "POST"}
		}
	}
}

func (c *checker) access(path string, r Route, reserved []string) {
	if a := r.Access; a != nil {
		if len(a.Allow)+len(a.Deny) == 0 {
			c.fail(path+".access", "is empty: want allow or deny")
		}
		for key, list := range map[string][]netip.Prefix{"allow": a.Allow, "deny": a.Deny} {
			bounded(c, path+".access."+key, "networks", list, maxNetworks)
		}
	}
	if r.BasicAuth != nil {
		c.basicAuth(path+".basicAuth", *r.BasicAuth)
	}
	if r.JWT != nil {
		c.jwt(path+".jwt", r, reserved)
	}
	if r.ForwardAuth != nil {
		c.forwardAuth(path+".forwardAuth", r, reserved)
	}
	if r.CORS != nil {
		c.cors(path+".cors", *r.CORS, r)
	}
}

func (c *checker) basicAuth(path string, b BasicAuth) {
	if len(b.Realm) > maxRealm || strings.ContainsFunc(b.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == '$' }) {
		c.fail(path+".realm", "%.200q: want at most %d printable ASCII characters without quotes, backslashes and $", b.Realm, maxRealm)
	}
	if len(b.Users) == 0 {
		c.fail(path+".users", "missing: want at least one user")
	}
	names := map[string]string{}
	for i, u := range bounded(c, path+".users", "users", b.Users, maxUsers) {
		at := fmt.Sprintf("%s.users[%d]", path, i)
		if u.Name == "" || len(u.Name) > maxUserName || strings.ContainsFunc(u.Name, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }) {
			c.fail(at+".name", "%.200q: want 1 to %d characters without colons and control characters", u.Name, maxUserName)
		}
		c.unique(at+".name", "user", u.Name, names)
		if err := access.CheckHash(u.PasswordHash); err != nil {
			c.fail(at+".passwordHash", "%v", err)
		}
	}
}

func (c *checker) cors(path string, s CORS, r Route) {
	if len(s.AllowOrigins) == 0 {
		c.fail(path+".allowOrigins", "missing: want origins such as https://app.example.com")
	}
	for i, o := range bounded(c, path+".allowOrigins", "origins", s.AllowOrigins, maxOrigins) {
		at := fmt.Sprintf("%s.allowOrigins[%d]", path, i)
		switch {
		case o == "*" && len(s.AllowOrigins) > 1:
			c.fail(at, "* stands for all origins: remove the others")
		case o == "*" && s.AllowCredentials:
			c.fail(at, "* with allowCredentials would let every page act as the user: list the origins")
		case o != "*" && !isOrigin(o):
			c.fail(at, "%.200q: want an origin such as https://app.example.com or https://*.example.com, without a path", o)
		}
	}
	for key, list := range map[string][]string{"allowMethods": s.AllowMethods, "allowHeaders": s.AllowHeaders, "exposeHeaders": s.ExposeHeaders} {
		for i, name := range bounded(c, path+"."+key, "names", list, maxEdits) {
			at := fmt.Sprintf("%s.%s[%d]", path, key, i)
			switch {
			case name == "*" && key != "allowMethods":
				if len(list) > 1 {
					c.fail(at, "* stands for all headers: remove the others")
				} else if s.AllowCredentials {
					c.fail(at, "browsers do not read * as all headers with allowCredentials: list the headers")
				}
			case !tokenPattern.MatchString(name) || len(name) > action.MaxName:
				c.fail(at, "%.200q: want a name without such characters", name)
			}
		}
	}
	if s.MaxAge < 0 || s.MaxAge > 24*time.Hour || s.MaxAge%time.Second != 0 {
		c.fail(path+".maxAge", "want 0s to 24h in whole seconds, got %s", s.MaxAge)
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, "OPTIONS") {
		c.fail(path, "never answers a preflight: add OPTIONS to methods of the route")
	}
	for _, n := range slices.Concat(keys(r.ResponseHeaders.Set), keys(r.ResponseHeaders.Add), r.ResponseHeaders.Remove) {
		if strings.HasPrefix(strings.ToLower(n), "access-control-") {
			c.fail(path, "writes %s, as responseHeaders does: remove one of them", n)
		}
	}
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// isOrigin reports whether s is the origin of pages (RFC 6454 §6.2), with *. before a name for all names below it.
func isOrigin(s string) bool {
	u, err := url.Parse(strings.Replace(s, "://*.", "://", 1))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return u.Hostname() != "" && hostPattern.MatchString(u.Hostname()) && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "#") && !strings.HasSuffix(s, ":")
}

// compileAccess adds who may use a checked route. It returns what CORS writes to and removes from all responses.
func compileAccess(r Route, out *action.Actions, passwords *action.Passwords) (edits []action.Edit, remove []string, err error) {
	if a := r.Access; a != nil {
		out.Networks = &action.Networks{Allow: a.Allow, Deny: a.Deny}
	}
	if b := r.BasicAuth; b != nil {
		users := map[string]string{}
		for _, u := range b.Users {
			users[u.Name] = u.PasswordHash
		}
		if out.Basic, err = action.NewBasic(b.Realm, users, passwords); err != nil {
			return nil, nil, fmt.Errorf("basicAuth: %w", err)
		}
	}
	if s := r.CORS; s != nil {
		out.CORS, edits, remove, err = action.NewCORS(action.CORSSettings{
			Origins: s.AllowOrigins, Methods: s.AllowMethods, Headers: s.AllowHeaders, Expose: s.ExposeHeaders, Credentials: s.AllowCredentials, MaxAge: s.MaxAge,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("cors: %w", err)
		}
	}
	return edits, remove, nil
}

package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
)

// JWT requires a JSON Web Token that an issuer signed. Requests without it get 401.
type JWT struct {
	Issuer    string   `yaml:"issuer"`    // value of the claim `iss`; required
	Audiences []string `yaml:"audiences"` // values, one of which the claim `aud` must have, at most 20; default any
	// JSON Web Key Set of the issuer. A URL with https (with http on loopback addresses only), which each node fetches every
	// five minutes and after a token with an unknown key, or a file below the folder `proxy.pages` of each node, which is read
	// when the configuration is applied; required
	JWKS   string            `yaml:"jwks"`
	Header string            `yaml:"header"` // header that has the token. In Authorization `Bearer` is before it, in other headers it may be; default Authorization
	Cookie string            `yaml:"cookie"` // cookie that has the token, instead of `header`; default none
	Claims map[string]string `yaml:"claims"` // headers for the instance, each with the claim that it gets: `X-User: sub`. The proxy removes these headers from what clients send; default none
	Leeway time.Duration     `yaml:"leeway"` // how much the clocks of issuer and node may differ, in whole seconds, 0s to 5m; default 30s
}

const (
	maxAudiences  = 20
	maxClaimBytes = 256 // of an issuer, audience or name of a claim
	maxJWKSURLs   = 100 // of a configuration: each is fetched again and again
)

func (j *JWT) fill(path string, given func(string) bool) {
	orDefault(&j.Leeway, 30*time.Second, given(path+".leeway"))
	if j.Header == "" && j.Cookie == "" {
		j.Header = "Authorization"
	}
}

func (c *checker) jwt(path string, r Route, reserved []string) {
	j := *r.JWT
	c.claimText(path+".issuer", j.Issuer)
	for i, a := range bounded(c, path+".audiences", "audiences", j.Audiences, maxAudiences) {
		c.claimText(fmt.Sprintf("%s.audiences[%d]", path, i), a)
	}
	switch {
	case j.JWKS == "":
		c.fail(path+".jwks", "missing: want the URL or the file of the keys of the issuer")
	case len(j.JWKS) > maxURL:
		c.fail(path+".jwks", "has %d bytes, at most %d are possible", len(j.JWKS), maxURL)
	case j.remote():
		if err := jwt.CheckURL(j.JWKS); err != nil {
			c.fail(path+".jwks", "%.200q: %v", j.JWKS, err)
		}
	default:
		if err := checkPage(j.JWKS); err != nil {
			c.fail(path+".jwks", "%v, or a URL", err)
		}
	}
	if _, header := c.at[path+".header"]; header && j.Cookie != "" {
		c.fail(path+".cookie", "use either header or cookie, not both")
	}
	for key, name := range map[string]string{"header": j.Header, "cookie": j.Cookie} {
		if name != "" && (!tokenPattern.MatchString(name) || len(name) > action.MaxName) {
			c.fail(path+"."+key, "%.200q: want a name of at most %d characters without such characters", name, action.MaxName)
		}
	}
	if r.BasicAuth != nil {
		c.fail(path, "use either jwt or basicAuth, not both")
	}
	if j.Leeway < 0 || j.Leeway > 5*time.Minute || j.Leeway%time.Second != 0 {
		c.fail(path+".leeway", "want 0s to 5m in whole seconds, got %s", j.Leeway)
	}
	c.claims(path+".claims", r, reserved)
}

// claims checks the headers that get claims as those that requestHeaders sets, and that both do not edit the same header.
func (c *checker) claims(path string, r Route, reserved []string) {
	if n := len(r.JWT.Claims); n > maxEdits {
		c.fail(path, "%d headers are more than %d", n, maxEdits)
		return
	}
	names := map[string]string{}
	for _, name := range keys(r.JWT.Claims) {
		c.claimText(path+"."+name, r.JWT.Claims[name])
		c.unique(path+"."+name, "header", strings.ToLower(name), names)
		if err := action.CheckName(name); err != nil {
			c.fail(path+"."+name, "%v", err)
		} else if slices.ContainsFunc(reserved, func(n string) bool { return sameHeader(n, name) }) {
			c.fail(path+"."+name, "%s: clientCertificates of a listener writes this header", name)
		}
	}
	h := r.RequestHeaders
	for _, other := range slices.Concat(keys(h.Set), keys(h.Add), h.Remove) {
		for _, name := range keys(r.JWT.Claims) {
			if sameHeader(other, name) {
				c.fail(path+"."+name, "requestHeaders edits the header %s too: remove one of them", other)
			}
		}
	}
}

func (c *checker) claimText(path, s string) {
	if s == "" || len(s) > maxClaimBytes || hasControl(s) {
		c.fail(path, "%.300q: want 1 to %d bytes without control characters", s, maxClaimBytes)
	}
}

// manyKeySets checks how many URLs all routes fetch keys from.
func (c *checker) manyKeySets(routes []Route) {
	urls := map[string]bool{}
	for i, r := range routes {
		if r.JWT == nil || !r.JWT.remote() || urls[r.JWT.JWKS] {
			continue
		}
		urls[r.JWT.JWKS] = true
		if len(urls) == maxJWKSURLs+1 {
			c.fail(fmt.Sprintf("routes[%d].jwt.jwks", i), "the configuration has more than %d URLs of keys", maxJWKSURLs)
		}
	}
}

// remote reports whether the keys come from a URL.
func (j JWT) remote() bool { return strings.Contains(j.JWKS, "://") }

// JWTState is what the tokens of a node have in common, and what stays when the configuration changes.
type JWTState struct {
	Tokens  *jwt.Tokens
	Wall    func() time.Time
	KeySets []*jwt.KeySet            // of the current table
	Refused map[string]*jwt.Refusals // of the current table
}

// next are the sets and counters of the next table.
type nextJWT struct {
	sets    []*jwt.KeySet
	refused map[string]*jwt.Refusals
}

// compile adds the check of a route's tokens. It returns the headers that get claims, in the order of the claims.
func (n *nextJWT) compile(r Route, out *action.Actions, local Local) ([]string, error) {
	j := r.JWT
	if j == nil {
		return nil, nil
	}
	set, err := n.keySet(*j, local)
	if err != nil {
		return nil, fmt.Errorf("jwt.jwks: %w", err)
	}
	count := local.JWT.Refused[r.Name]
	if count == nil {
		count = new(jwt.Refusals)
	}
	n.refused[r.Name] = count
	headers := slices.Sorted(maps.Keys(j.Claims))
	claims := make([]string, len(headers))
	for i, h := range headers {
		claims[i] = j.Claims[h]
	}
	out.JWT, err = action.NewJWT(jwt.New(jwt.Settings{
		Route: r.Name, Issuer: j.Issuer, Audiences: j.Audiences, Header: strings.ToLower(j.Header), Cookie: j.Cookie, Claims: claims,
		Leeway: j.Leeway, Keys: set, Tokens: local.JWT.Tokens, Refused: count, Wall: local.JWT.Wall,
	}))
	return headers, err
}

// keySet returns the set of keys of a source: that of the current table if it has one, because it has keys already.
func (n *nextJWT) keySet(j JWT, local Local) (*jwt.KeySet, error) {
	if !j.remote() {
		text, err := local.Pages.read(j.JWKS)
		if err != nil {
			return nil, err
		}
		keys, err := jwt.ParseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", j.JWKS, err)
		}
		return jwt.FixedKeySet(j.JWKS, keys), nil
	}
	same := func(s *jwt.KeySet) bool { return s.Source == j.JWKS }
	if i := slices.IndexFunc(n.sets, same); i >= 0 {
		return n.sets[i], nil
	}
	set := jwt.NewKeySet(j.JWKS)
	if i := slices.IndexFunc(local.JWT.KeySets, same); i >= 0 {
		set = local.JWT.KeySets[i]
	}
	n.sets = append(n.sets, set)
	return set, nil
}

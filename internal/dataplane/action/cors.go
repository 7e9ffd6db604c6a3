package action

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// CORS lets pages of other origins use a route (Fetch Standard, section "CORS protocol"). The proxy answers preflights, and
// writes the Access-Control headers of all responses itself.
type CORS struct {
	Preflight *Headers // of the answer to a preflight, besides those of all responses

	any      bool     // every origin
	origins  []string // exact, in lower case
	suffixes []suffix // of https://*.example.com
}

// suffix allows all origins with this scheme and a host below a name.
type suffix struct{ scheme, host string } // "https://", ".example.com"

// CORSSettings are the settings of a CORS.
type CORSSettings struct {
	Origins     []string      // "*", "https://app.example.com" or "https://*.example.com"
	Methods     []string      // of preflights
	Headers     []string      // of requests, or "*"
	Expose      []string      // headers of responses that pages may read, or "*"
	Credentials bool          // pages may send cookies and read the responses
	MaxAge      time.Duration // that browsers keep the answer to a preflight
}

// corsFields are the fields that instances do not write if the route has CORS. The others have a meaning in answers to
// preflights only, which instances do not get.
var corsFields = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"}

// NewCORS compiles settings. It returns the edits of all responses of the route: fields to write and fields to remove.
func NewCORS(s CORSSettings) (c *CORS, all []Edit, remove []string, err error) {
	c = &CORS{}
	for _, o := range s.Origins {
		o = strings.ToLower(o)
		scheme, host, wild := strings.Cut(o, "://*.")
		switch {
		case o == "*":
			c.any = true
		case wild:
			c.suffixes = append(c.suffixes, suffix{scheme + "://", "." + host})
		default:
			c.origins = append(c.origins, o)
		}
	}
	preflight := []Edit{
		{Name: "Access-Control-Allow-Methods", Value: strings.Join(s.Methods, ", ")},
		{Name: "Access-Control-Max-Age", Value: strconv.FormatInt(int64(s.MaxAge/time.Second), 10)},
	}
	if len(s.Headers) > 0 {
		preflight = append(preflight, Edit{Name: "Access-Control-Allow-Headers", Value: strings.Join(s.Headers, ", ")})
	}
	all = []Edit{{Name: "Access-Control-Allow-Origin", Value: "*"}}
	if !c.any {
		all = []Edit{{Name: "Access-Control-Allow-Origin", origin: true}, {Name: "Vary", Value: "Origin", Keep: true}}
	}
	if s.Credentials {
		all = append(all, Edit{Name: "Access-Control-Allow-Credentials", Value: "true"})
	}
	if len(s.Expose) > 0 {
		all = append(all, Edit{Name: "Access-Control-Expose-Headers", Value: strings.Join(s.Expose, ", ")})
	}
	c.Preflight, err = NewHeaders(preflight, nil)
	return c, all, corsFields, err
}

// IsPreflight reports whether a request with these parts asks for permission to send another one.
func (c *CORS) IsPreflight(method []byte, header func(name string) ([]byte, bool)) bool {
	if c == nil || string(method) != "OPTIONS" {
		return false
	}
	_, origin := header("origin")
	_, wanted := header("access-control-request-method")
	return origin && wanted
}

// Allows reports whether pages of an origin, as the browser sends it, may use the route.
func (c *CORS) Allows(origin []byte) bool {
	if c == nil || len(origin) == 0 {
		return false
	}
	if c.any || slices.ContainsFunc(c.origins, func(o string) bool { return h1.EqualFold(origin, o) }) {
		return true
	}
	return slices.ContainsFunc(c.suffixes, func(s suffix) bool { return s.holds(origin) })
}

func (s suffix) holds(origin []byte) bool {
	n, m := len(s.scheme), len(origin)-len(s.host)
	return m > n && h1.EqualFold(origin[:n], s.scheme) && h1.EqualFold(origin[m:], s.host) && !bytes.ContainsAny(origin[n:m], "/:@?#")
}

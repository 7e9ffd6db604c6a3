package app

import (
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
)

// Families of tokens and of authentication services.
var (
	familyRefusedTokens = counter("smartlb_jwt_refused_requests_total", "Requests that got 401 from a route with `jwt`, by reason.", "route", "reason")
	familyKeyFetches    = counter("smartlb_jwks_fetches_total", "Fetches of the keys of an issuer, by result: `success` or `failure`. After a failure, the keys before it stay in use.", "jwks", "result")
	familyKeysTime      = gauge("smartlb_jwks_last_success_timestamp_seconds", "When the node last fetched the keys of an issuer. Without this series it has none, and refuses each token.", "jwks")
	familyAuthRequests  = counter("smartlb_forward_auth_requests_total", "Questions to the authentication service of a route, by result: `admitted`, `refused` (3xx and 4xx), `failed` (5xx, or no valid answer), `timeout`, `busy` (too many requests waited, so it was not asked), `left` (the client left, or its own timeout ended).", "route", "result")
	familyAuthWaiting   = gauge("smartlb_forward_auth_waiting", "Requests that wait for the authentication service of a route.", "route")
)

// tokens sends the series of tokens and of authentication services.
func (c collector) tokens(s series) {
	table := c.a.data.dispatcher.Table()
	if table == nil {
		return
	}
	for route, refused := range table.Refused {
		for r := jwt.Missing; int(r) < jwt.NumReasons; r++ {
			s.count(familyRefusedTokens, refused[r].Load(), route, r.String())
		}
	}
	for route, counts := range table.Auths {
		for r := forwardauth.Admitted; int(r) < forwardauth.NumResults; r++ {
			s.count(familyAuthRequests, counts.Results(r), route, r.String())
		}
		s.put(familyAuthWaiting, float64(counts.Waiting()), route)
	}
	for _, set := range table.KeySets {
		n := set.Fetches()
		s.count(familyKeyFetches, n.Succeeded, set.Source, "success")
		s.count(familyKeyFetches, n.Failed, set.Source, "failure")
		if n.Last > 0 {
			s.put(familyKeysTime, float64(n.Last), set.Source)
		}
	}
}

package app

import "github.com/smartlb/smartlb/internal/dataplane/jwt"

// Families of tokens.
var (
	familyRefusedTokens = counter("smartlb_jwt_refused_requests_total", "Requests that got 401 from a route with `jwt`, by reason.", "route", "reason")
	familyKeyFetches    = counter("smartlb_jwks_fetches_total", "Fetches of the keys of an issuer, by result: `success` or `failure`. After a failure, the keys before it stay in use.", "jwks", "result")
	familyKeysTime      = gauge("smartlb_jwks_last_success_timestamp_seconds", "When the node last fetched the keys of an issuer. Without this series it has none, and refuses each token.", "jwks")
)

// tokens sends the series of tokens.
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
	for _, set := range table.KeySets {
		n := set.Fetches()
		s.count(familyKeyFetches, n.Succeeded, set.Source, "success")
		s.count(familyKeyFetches, n.Failed, set.Source, "failure")
		if n.Last > 0 {
			s.put(familyKeysTime, float64(n.Last), set.Source)
		}
	}
}

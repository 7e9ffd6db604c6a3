package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/smartlb/smartlb/internal/console/problem"
)

// Guard protects a listener on loopback from web pages that are open in a browser on this machine. It refuses changes
// from another origin. It also refuses a Host that is not an address, localhost or one of names: with DNS rebinding, an
// attacker's name can resolve to our address, but our address cannot get our name. Pages of another origin may not read
// anything that costs work either: they cannot see the response, but an <img> would start a search. Links to the
// console's pages work.
func Guard(next http.Handler, names ...string) http.Handler {
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, problem.Problem{Code: problem.OtherOrigin, Error: "a page of another origin may not change anything here"})
	}))
	checked := csrf.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowedHost(r.Host, names) {
			fail(w, problem.Problem{Code: problem.WrongHost, Error: "host " + r.Host + " is not served here", Hint: "use localhost or the address"})
			return
		}
		if costs(r.URL.Path) && otherOrigin(r) {
			fail(w, problem.Problem{Code: problem.OtherOrigin, Error: "a page of another origin may not call the API", Hint: "open the address in a separate window, or use a client that is not a browser"})
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("Referrer-Policy", "no-referrer")
		checked.ServeHTTP(w, r)
	})
}

// costs reports whether the response to a path takes more work than a file in memory. The two paths of the login at an
// issuer cost nothing here, because browsers come to them from other sites.
func costs(path string) bool {
	switch path {
	case "/api/v1/login/oidc", "/api/v1/login/oidc/callback":
		return false
	case "/metrics":
		return true
	}
	return strings.HasPrefix(path, "/api/")
}

// otherOrigin reports whether a page of another origin caused the request (Fetch Metadata, W3C). Browsers send these
// headers to https and to localhost. To other addresses they send Origin with requests of scripts, and cookies with
// neither. A page on another port of this machine belongs to the same site.
func otherOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

func allowedHost(hostport string, names []string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, n := range names {
		if strings.EqualFold(host, n) {
			return true
		}
	}
	return false
}

package api

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Guard protects what listens on loopback from pages that a browser on this
// machine has open: cross-origin changes are refused, and so is any Host that
// is neither an address nor localhost nor one of names (DNS rebinding gives an
// attacker's name our address, but cannot give our address its name).
func Guard(next http.Handler, names ...string) http.Handler {
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, Problem{Error: "a page of another origin may not change anything here"})
	}))
	checked := csrf.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowedHost(r.Host, names) {
			refuse(w, http.StatusMisdirectedRequest, Problem{Error: "host " + r.Host + " is not served here", Hint: "use localhost or the address"})
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("Referrer-Policy", "no-referrer")
		checked.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, p Problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p)
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

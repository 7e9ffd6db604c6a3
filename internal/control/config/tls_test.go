package config

import (
	"strings"
	"testing"
)

// Each mistake in the settings of a listener names the key and says what to do.
func TestMistakesInListenersAreNamed(t *testing.T) {
	const tls = "tls: {certificates: [{cert: a, key: b}]"
	for name, tc := range map[string]struct{ listener, want string }{
		"TLS":                           {tls + "}", ""},
		"a redirect":                    {"redirectToHttps: true", ""},
		"a redirect to a port":          {"redirectToHttps: true, httpsPort: 8443", ""},
		"no redirect beside TLS":        {tls + "}, redirectToHttps: false", ""},
		"a redirect beside TLS":         {tls + "}, redirectToHttps: true", "redirectToHttps: the clients of this listener use HTTPS already: remove redirectToHttps or tls"},
		"a port without a redirect":     {"httpsPort: 8443", "httpsPort: has no effect without redirectToHttps: true"},
		"a port that does not exist":    {"redirectToHttps: true, httpsPort: 65536", "httpsPort: want a port from 1 to 65535, got 65536"},
		"a negative port":               {"redirectToHttps: true, httpsPort: -1", "httpsPort: want a port from 1 to 65535, got -1"},
		"a redirect that is not a bool": {"redirectToHttps: 443", "redirectToHttps: want true or false, got 443"},
		"HSTS":                          {tls + ", hsts: 8760h, hstsIncludeSubDomains: true}", ""},
		"HSTS that ends":                {tls + ", hsts: 0s}", ""},
		"HSTS without a unit":           {tls + ", hsts: 31536000}", "tls.hsts: want a duration like"},
		"HSTS of half a second":         {tls + ", hsts: 1500ms}", "tls.hsts: want whole seconds, got 1.5s"},
		"subdomains without HSTS":       {tls + ", hstsIncludeSubDomains: true}", "tls.hstsIncludeSubDomains: has no effect without hsts"},
		"no certificate":                {"tls: {}", "tls.certificates: missing"},
		"a certificate without a key":   {"tls: {certificates: [{cert: a}]}", "tls.certificates[0].key: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTraffic([]byte("listeners:\n  - {name: web, address: ':1', " + tc.listener + "}\n"))
			if tc.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), "line 2: listeners[0]."+tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

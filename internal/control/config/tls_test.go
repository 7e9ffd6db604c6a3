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
		"client certificates":           {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: X-Client-Subject, fingerprintHeader: SSL_CLIENT_FP}}", ""},
		"client certificates, off":      {tls + ", clientCertificates: {mode: off, ca: c}}", ""},
		"an unknown mode":               {tls + ", clientCertificates: {mode: on, ca: c}}", `tls.clientCertificates.mode: unknown value "on", want off or request or require`},
		"no mode":                       {tls + ", clientCertificates: {ca: c}}", "tls.clientCertificates.mode: missing: want request, require or off"},
		"no authority":                  {tls + ", clientCertificates: {mode: request}}", "tls.clientCertificates.ca: missing"},
		"a header that frames":          {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: Content-Length}}", `tls.clientCertificates.subjectHeader: "Content-Length": smartlb reads or writes`},
		"a header in CGI's spelling":    {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: x_forwarded_client_cert}}", `tls.clientCertificates.subjectHeader: "x_forwarded_client_cert": smartlb`},
		"the header of the host":        {tls + ", clientCertificates: {mode: require, ca: c, fingerprintHeader: host}}", `tls.clientCertificates.fingerprintHeader: "host": smartlb`},
		"a header of HTTP":              {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: Content-Type}}", `tls.clientCertificates.subjectHeader: "Content-Type": this header has a meaning`},
		"a header that is no name":      {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: 'X Client'}}", `tls.clientCertificates.subjectHeader: "X Client": the name of a header has no such character`},
		"one header for both":           {tls + ", clientCertificates: {mode: require, ca: c, subjectHeader: X-Client, fingerprintHeader: x_client}}", `tls.clientCertificates.fingerprintHeader: "x_client": is the subjectHeader already`},
		"ticket keys":                   {tls + ", ticketKeys: keys}", ""},
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

package config

import (
	"strings"
	"testing"
)

// Each mistake in the settings of a listener names the key and says what to do.
func TestMistakesInListenersAreNamed(t *testing.T) {
	const tls = "tls: {certificates: [{cert: a, key: b}]"
	const acme = "tls: {acme: {termsAgreed: true, names: [a.example, b.example]"
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
		"acme":                          {acme + "}}", ""},
		"acme with all keys":            {acme + ", email: a@b.example, directory: 'https://ca.example:14000/dir', ca: c, keyType: rsa2048, challenge: http-01, externalAccount: {id: i, key: '${env:K}'}}}", ""},
		"acme beside certificates":      {tls + ", acme: {termsAgreed: true, names: [a.example]}}", ""},
		"a name without a dot":          {"tls: {acme: {termsAgreed: true, names: [intranet, xn--caf-dma.example]}}", ""},
		"no names":                      {"tls: {acme: {termsAgreed: true}}", "tls.acme.names: missing: want the names"},
		"too many names":                {"tls: {acme: {termsAgreed: true, names: [" + strings.Repeat("a.example, ", 100) + "a.example]}}", "tls.acme.names: 101 names are more than 100"},
		"a wildcard":                    {"tls: {acme: {termsAgreed: true, names: ['*.example.com']}}", `tls.acme.names[0]: "*.example.com": certificates for wildcards need the challenge dns-01, which is not supported`},
		"an address":                    {"tls: {acme: {termsAgreed: true, names: [a.example, 192.0.2.1]}}", `tls.acme.names[1]: "192.0.2.1": want a name`},
		"a name with a port":            {"tls: {acme: {termsAgreed: true, names: ['a.example:443']}}", `tls.acme.names[0]: "a.example:443": want a name`},
		"a name in capitals":            {"tls: {acme: {termsAgreed: true, names: [A.example]}}", `tls.acme.names[0]: "A.example": want a name such as shop.example.com, in lower case`},
		"a name beyond ASCII":           {"tls: {acme: {termsAgreed: true, names: [café.example]}}", `tls.acme.names[0]: "café.example": want a name such as shop.example.com, in lower case and without port; names beyond ASCII as xn--`},
		"a name that is a path":         {"tls: {acme: {termsAgreed: true, names: [../../a]}}", `tls.acme.names[0]: "../../a": want a name`},
		"an empty name":                 {"tls: {acme: {termsAgreed: true, names: ['']}}", `tls.acme.names[0]: "": want a name`},
		"a name that is too long":       {"tls: {acme: {termsAgreed: true, names: [" + strings.Repeat("a.", 126) + "aa]}}", `tls.acme.names[0]: "a.a.a.`},
		"a name twice":                  {"tls: {acme: {termsAgreed: true, names: [a.example, a.example]}}", `tls.acme.names[1]: "a.example" is there twice`},
		"no consent":                    {"tls: {acme: {names: [a.example]}}", "tls.acme.termsAgreed: want true"},
		"two addresses":                 {acme + ", email: 'a@b,c@d'}}", `tls.acme.email: "a@b,c@d": want one address`},
		"no address":                    {acme + ", email: ops}}", `tls.acme.email: "ops": want one address`},
		"a directory without TLS":       {acme + ", directory: 'http://ca.example/dir'}}", `tls.acme.directory: "http://ca.example/dir": want an https:// address`},
		"a directory without a host":    {acme + ", directory: 'https:///dir'}}", `tls.acme.directory: "https:///dir": want an https:// address`},
		"an unknown key type":           {acme + ", keyType: p384}}", `tls.acme.keyType: unknown value "p384", want p256 or rsa2048`},
		"an unknown challenge":          {acme + ", challenge: dns-01}}", `tls.acme.challenge: unknown value "dns-01", want tls-alpn-01 or http-01`},
		"an external account, no id":    {acme + ", externalAccount: {key: '${env:K}'}}}", "tls.acme.externalAccount.id: missing"},
		"an external account, no key":   {acme + ", externalAccount: {id: i}}}", "tls.acme.externalAccount.key: missing"},
		"a key that is written":         {acme + ", externalAccount: {id: i, key: secret}}}", "tls.acme.externalAccount.key: a secret is not written here"},
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

package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// clientCert describes the verified certificate of a client. The zero value is a client without one.
type clientCert struct{ subject, fingerprint string }

// maxSubject limits the subject that an instance gets, in bytes. A longer subject is left out: a part of it would be
// another name.
const maxSubject = 4 << 10

// clientCertOf returns the certificate that crypto/tls has verified, in this handshake or in the one of a resumed
// session.
func clientCertOf(st tls.ConnectionState) (out clientCert) {
	if len(st.VerifiedChains) == 0 {
		return out
	}
	leaf := st.VerifiedChains[0][0]
	out.fingerprint = certs.Fingerprint(leaf)
	if s := certs.Subject(leaf); len(s) <= maxSubject {
		out.subject = s
	}
	return out
}

// appendClientCert appends the fields about the client certificate to a request. Fields with these names that the client
// sent are gone already: their names are reserved (h1.Limits).
func (c *conn) appendClientCert(dst []byte, e *exchange) []byte {
	dst = appendField(dst, e.set.ClientFields.Subject, c.cert.subject)
	return appendField(dst, e.set.ClientFields.Fingerprint, c.cert.fingerprint)
}

// appendField appends a field, or nothing if the name or the value is empty.
func appendField(dst []byte, name, value string) []byte {
	if name == "" || value == "" {
		return dst
	}
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// withSubject adds the subject of a refused client certificate to an error, for the log.
func withSubject(err error) error {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return err
	}
	const longest = 256
	s := certs.Subject(refused.UnverifiedCertificates[0])
	return fmt.Errorf("%s: %w", s[:min(len(s), longest)], err)
}

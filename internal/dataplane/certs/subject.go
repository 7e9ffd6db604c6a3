package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"strings"
)

// attribute is one type and value of a distinguished name. A type whose name ends in SET is read as an ASN.1 SET.
type (
	attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	attributeSET []attribute
)

// attributeNames are the names of RFC 2253 §2.3, and two that OpenSSL writes in the same way.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	"2.5.4.5": "serialNumber", "1.2.840.113549.1.9.1": "emailAddress",
}

// Subject returns the subject of a certificate as text (RFC 2253), the last part first, each part as the certificate
// has it: "CN=client,O=Example". Bytes other than printable ASCII are escaped (\C3\A9), so the text is safe in a field of
// a request and in a log. It is "" for an empty subject.
//
// pkix.Name is not used: it reorders the parts of a name, so names with different parts can have the same text.
func Subject(c *x509.Certificate) string {
	var seq []attributeSET
	if rest, err := asn1.Unmarshal(c.RawSubject, &seq); err != nil || len(rest) > 0 {
		return "#" + hex.EncodeToString(c.RawSubject)
	}
	var b strings.Builder
	for i := len(seq) - 1; i >= 0; i-- {
		for j, a := range seq[i] {
			switch {
			case j > 0:
				b.WriteByte('+')
			case b.Len() > 0:
				b.WriteByte(',')
			}
			a.write(&b)
		}
	}
	return b.String()
}

// write appends "CN=text". A type without a name, or a value that is not text, is written as #HEX (RFC 2253 §2.4).
func (a attribute) write(b *strings.Builder) {
	oid := a.Type.String()
	name, known := attributeNames[oid]
	var value string
	if _, err := asn1.Unmarshal(a.Value.FullBytes, &value); err != nil || !known {
		if !known {
			name = oid
		}
		b.WriteString(name + "=#" + hex.EncodeToString(a.Value.FullBytes))
		return
	}
	b.WriteString(name + "=")
	const digits = "0123456789ABCDEF"
	for i := range len(value) {
		switch ch := value[i]; {
		case ch < 0x20 || ch >= 0x7f:
			b.WriteString(string([]byte{'\\', digits[ch>>4], digits[ch&15]}))
		case strings.IndexByte(`,+"\<>;`, ch) >= 0, ch == '#' && i == 0, ch == ' ' && (i == 0 || i == len(value)-1):
			b.WriteString(string([]byte{'\\', ch}))
		default:
			b.WriteByte(ch)
		}
	}
}

// Fingerprint returns the SHA-256 of a certificate in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

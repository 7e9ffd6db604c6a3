package action

import (
	"fmt"
	"net/netip"
	"strings"
)

// variable is a value that a template takes from the request.
type variable uint8

const (
	literal variable = iota
	client
	requestID
	sni
	route
	service
	instance
	tlsSubject
	user
	allowedOrigin // not for documents: the origin that CORS allows
	tokenClaim    // not for documents: a claim of the token
)

// Variables are the names of all variables, in the order of their documentation.
var Variables = [...]string{"client", "requestId", "sni", "route", "service", "instance", "tlsSubject", "user"}

// Values are the values of the variables for one request. A value that the request does not have is empty.
type Values struct {
	Client    netip.Addr // the peer, or the address that a trusted peer names
	RequestID []byte
	SNI       string // server name that the client sent in its TLS handshake
	Route     string
	Service   string
	Instance  string
	Subject   string   // of the verified client certificate
	User      string   // whose password was right, or the subject of the token
	Origin    []byte   // that the route's CORS allows
	Claims    []string // of the token, as the route lists them
}

// Template is a text with variables, such as "${client}".
type Template struct{ parts []part }

type part struct {
	variable variable
	text     string // of a literal
	claim    int    // place in Values.Claims
}

// ParseTemplate parses a text. "${NAME}" is a variable and "$${" stands for "${".
func ParseTemplate(s string) (Template, error) {
	var t Template
	for {
		at := strings.Index(s, "${")
		if at < 0 {
			return t.literal(s), nil
		}
		if at > 0 && s[at-1] == '$' {
			t, s = t.literal(s[:at-1]+"${"), s[at+2:]
			continue
		}
		name, rest, closed := strings.Cut(s[at+2:], "}")
		if !closed {
			return t, fmt.Errorf("the variable ${%s has no closing brace; write $${ for the characters ${", name)
		}
		v := variableOf(name)
		if v == literal {
			return t, fmt.Errorf("there is no variable ${%s}; variables: %s", name, strings.Join(Variables[:], ", "))
		}
		t = t.literal(s[:at])
		t.parts = append(t.parts, part{variable: v})
		s = rest
	}
}

func (t Template) literal(s string) Template {
	if s != "" {
		t.parts = append(t.parts, part{text: s})
	}
	return t
}

func variableOf(name string) variable {
	for i, n := range Variables {
		if n == name {
			return variable(i + 1)
		}
	}
	return literal
}

// Append appends the text. A value with a control character counts as empty, because it could end the line of a header:
// crypto/tls accepts such bytes in a server name.
func (t Template) Append(dst []byte, v *Values) []byte {
	for _, p := range t.parts {
		at := len(dst)
		switch p.variable {
		case literal:
			dst = append(dst, p.text...)
			continue
		case client:
			dst = v.Client.AppendTo(dst)
		case requestID:
			dst = append(dst, v.RequestID...)
		case sni:
			dst = append(dst, v.SNI...)
		case route:
			dst = append(dst, v.Route...)
		case service:
			dst = append(dst, v.Service...)
		case instance:
			dst = append(dst, v.Instance...)
		case tlsSubject:
			dst = append(dst, v.Subject...)
		case user:
			dst = append(dst, v.User...)
		case allowedOrigin:
			dst = append(dst, v.Origin...)
		case tokenClaim:
			if p.claim < len(v.Claims) {
				dst = append(dst, v.Claims[p.claim]...)
			}
		}
		if hasControl(dst[at:]) {
			dst = dst[:at]
		}
	}
	return dst
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

package action

import (
	"bytes"
	"strconv"
)

// Redirect answers with another URL, as RequestRedirect of the Kubernetes Gateway API does.
type Redirect struct {
	Status int    // 301, 302, 303, 307 or 308
	Scheme string // http or https; empty: that of the request
	Host   string // without port; empty: that of the request
	Port   int    // 0: that of the request, or, if Scheme or Host is set, the default of the scheme
	Path   *Path  // nil: that of the request
}

// RedirectStatuses are the statuses of a redirect.
var RedirectStatuses = []int{301, 302, 303, 307, 308}

// Target is what a request asks for.
type Target struct {
	Scheme          string // http or https
	Host            []byte // with its port, if it has one
	Routed, Forward []byte // the path in both spellings
	Query           []byte // nil: none
}

// AppendLocation appends the URL. It returns false if the path cannot be made, see Path.Append.
//
// The path always follows an authority, so no path leads to another host.
func (r *Redirect) AppendLocation(dst []byte, t Target) ([]byte, bool) {
	scheme := t.Scheme
	if r.Scheme != "" {
		scheme = r.Scheme
	}
	host, port := splitPort(t.Host)
	if r.Scheme != "" || r.Host != "" {
		port = nil
	}
	dst = append(append(dst, scheme...), "://"...)
	if r.Host != "" {
		dst = append(dst, r.Host...)
	} else {
		dst = append(dst, host...)
	}
	dst = appendPort(dst, scheme, r.Port, port)
	start, ok := len(dst), true
	if r.Path == nil {
		dst = append(dst, t.Forward...)
	} else if dst, ok = r.Path.Append(dst, t.Routed, t.Forward); !ok {
		return dst, false
	}
	if len(dst) == start || dst[start] == '*' { // OPTIONS * applies to the host as a whole
		dst = append(dst[:start], '/')
	}
	if t.Query != nil {
		dst = append(append(dst, '?'), t.Query...)
	}
	return dst, true
}

// appendPort appends the port of the redirect, or else the port of the request, unless it is the default of the scheme.
func appendPort(dst []byte, scheme string, port int, requested []byte) []byte {
	if port == 0 {
		port = number(requested)
	}
	if port == 0 || scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return dst
	}
	return strconv.AppendInt(append(dst, ':'), int64(port), 10)
}

// number returns the number of a port, whose digits the parser has checked; 0 if there is none.
func number(port []byte) (n int) {
	for _, c := range port {
		n = n*10 + int(c-'0')
	}
	return n
}

// splitPort splits an authority. The port is nil if there is none.
func splitPort(host []byte) (name, port []byte) {
	if colon := bytes.LastIndexByte(host, ':'); colon > bytes.LastIndexByte(host, ']') {
		return host[:colon], host[colon+1:]
	}
	return host, nil
}

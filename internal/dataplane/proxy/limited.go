package proxy

import (
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// The fields of a reply to a request that a rate limit refuses. RateLimit-Policy and RateLimit are those of
// draft-ietf-httpapi-ratelimit-headers-11 (May 2026). Retry-After and the parameter t of RateLimit name the same time: until
// the bucket has a token.
const (
	retryAfter  = "Retry-After"
	limitPolicy = "RateLimit-Policy"
	limitState  = "RateLimit"
)

// eachLimitField calls put for each field of the reply, unless the route writes or removes it itself. put must not keep the
// value.
func (e *exchange) eachLimitField(r *own, put func(name, lower string, value []byte)) {
	l, wait := e.x.Limited()
	seconds := int64((wait + time.Second - 1) / time.Second)
	if r.writes(e, "retry-after") {
		e.value = strconv.AppendInt(e.value[:0], seconds, 10)
		put(retryAfter, "retry-after", e.value)
	}
	if r.writes(e, "ratelimit-policy") {
		e.value = append(e.value[:0], l.Policy...)
		put(limitPolicy, "ratelimit-policy", e.value)
	}
	if r.writes(e, "ratelimit") {
		e.value = append(append(append(e.value[:0], '"'), l.ID.Name...), `";r=0;t=`...)
		e.value = strconv.AppendInt(e.value, seconds, 10)
		put(limitState, "ratelimit", e.value)
	}
}

// appendLimitLines appends the fields as lines of HTTP/1.1.
func appendLimitLines(out []byte, e *exchange, r *own) []byte {
	e.eachLimitField(r, func(name, _ string, value []byte) {
		out = append(append(out, name...), ": "...)
		out = append(append(out, value...), "\r\n"...)
	})
	return out
}

// appendLimitFields appends the fields as fields of HTTP/2.
func appendLimitFields(out []byte, e *exchange, r *own) []byte {
	e.eachLimitField(r, func(_, lower string, value []byte) { out = h2.AppendField(out, lower, value) })
	return out
}

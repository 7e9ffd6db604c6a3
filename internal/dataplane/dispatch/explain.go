package dispatch

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// AppendExplain appends the value of X-Smartlb-Decision: candidates, costs and reason of the last try as one line of
// JSON. Ids are ASCII because the configuration requires it.
func (x *Exchange) AppendExplain(dst []byte) []byte {
	if x.n == 0 {
		dst = append(dst, `{"instance":null,"reason":`...)
		return append(strconv.AppendQuoteToASCII(dst, x.code), '}')
	}
	a := &x.attempts[x.n-1]
	dst = append(dst, `{"service":`...)
	dst = strconv.AppendQuoteToASCII(dst, x.service.ID)
	dst = append(dst, `,"route":`...)
	dst = strconv.AppendQuoteToASCII(dst, x.route.Name)
	dst = append(dst, `,"policy":`...)
	dst = strconv.AppendQuoteToASCII(dst, a.Pool.Name)
	dst = append(dst, `,"attempt":`...)
	dst = strconv.AppendInt(dst, int64(x.n), 10)
	dst = append(dst, `,"instance":`...)
	dst = strconv.AppendQuoteToASCII(dst, a.Pool.Members[a.Chosen].Instance)
	dst = append(dst, `,"reason":`...)
	dst = strconv.AppendQuoteToASCII(dst, a.Trace.Reason)
	dst = append(dst, `,"candidates":[`...)
	for i, c := range a.Trace.Candidates[:a.Trace.N] {
		if i > 0 {
			dst = append(dst, ',')
		}
		m := &a.Pool.Members[c.Index]
		dst = append(dst, `{"instance":`...)
		dst = strconv.AppendQuoteToASCII(dst, m.Instance)
		dst = appendNumber(dst, "cost", float64(c.Cost))
		dst = appendNumber(dst, "inFlight", float64(c.InFlight))
		dst = appendNumber(dst, "latency", float64(c.Latency))
		dst = appendNumber(dst, "error", float64(c.Err))
		dst = appendNumber(dst, "silence", float64(c.Silence))
		dst = appendNumber(dst, "capacity", m.Capacity)
		dst = appendNumber(dst, "slowStart", m.SlowStart)
		dst = appendNumber(dst, "veto", m.Veto)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"excluded":[`...)
	first := true
	for i := range a.Pool.Members {
		m := &a.Pool.Members[i]
		if m.Out == upstream.In {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{"instance":`...)
		dst = strconv.AppendQuoteToASCII(dst, m.Instance)
		dst = append(dst, `,"reason":"`...)
		dst = append(dst, m.Out.String()...)
		dst = append(dst, `"}`...)
		if len(dst) > 6<<10 { // every client accepts a header line of this size
			break
		}
	}
	return append(dst, `]}`...)
}

func appendNumber(dst []byte, name string, v float64) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return strconv.AppendFloat(dst, v, 'g', 4, 64)
}

// noInstance explains why a service has no instance that can take the request.
func noInstance(service string, p *upstream.Pool) string {
	if len(p.Members) == 0 {
		return "service " + service + " has no instances configured"
	}
	var counts [upstream.Reasons]int
	for i := range p.Members {
		counts[p.Members[i].Out]++
	}
	var b strings.Builder
	b.WriteString("service " + service + " has no instance to send to: of " + strconv.Itoa(len(p.Members)))
	for r, n := range counts {
		if n > 0 {
			b.WriteString(", " + strconv.Itoa(n) + " " + upstream.Reason(r).String())
		}
	}
	return b.String()
}

// hashKey hashes the key of ring_hash and maglev (FNV-1a, then a finalizer).
func hashKey(on HashOn, client netip.Addr, h Head) uint64 {
	var key []byte
	ok := false
	switch on.Kind {
	case HashPath:
		key, ok = h.Path(), true
	case HashHeader:
		key, ok = h.Header(on.Name)
	case HashCookie:
		key, ok = h.Cookie(on.Name)
	case HashQuery:
		key, ok = router.Parameter(h.Query(), on.Name)
	}
	if ok {
		return upstream.Hash(key)
	}
	b := client.As16()
	return upstream.Hash(b[:])
}

package proxy

import (
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// loadFields are the response fields that hold a load report of ORCA.
var loadFields = []string{orca.Header, orca.HeaderBinary}

// takeLoad reads the load report in the head of a response, and removes it if the service says so.
func (c *conn) takeLoad(e *exchange, l *upstream.Live) {
	if v, ok := e.res.Header(orca.HeaderBinary); ok {
		c.noteLoad(l, v, true)
	} else if v, ok := e.res.Header(orca.Header); ok {
		c.noteLoad(l, v, false)
	} else {
		return
	}
	if e.leg.LoadReports.Strip {
		e.res.Remove(loadFields, false)
	}
}

// takeLoadOfTrailers is takeLoad for the trailers of a response, if they have arrived.
func (c *conn) takeLoadOfTrailers(e *exchange, l *upstream.Live) {
	if len(e.trailers) == 0 || !e.leg.LoadReports.Read {
		return
	}
	if v, ok := trailer(e.trailers, orca.HeaderBinary); ok {
		c.noteLoad(l, v, true)
	} else if v, ok := trailer(e.trailers, orca.Header); ok {
		c.noteLoad(l, v, false)
	} else {
		return
	}
	if e.leg.LoadReports.Strip {
		e.trailers = h1.RemoveTrailers(nil, e.trailers, loadFields)
	}
}

// noteLoad notes a report of an instance. It counts an invalid report and logs some of them.
func (c *conn) noteLoad(l *upstream.Live, v []byte, binary bool) {
	parse := orca.Parse
	if binary {
		parse = orca.ParseBinary
	}
	r, err := parse(v)
	if err == nil {
		l.Load.Take(r, c.p.cfg.Now())
		return
	}
	l.Load.Refused.Add(1)
	if c.p.mayNote(c.p.cfg.Now()) {
		c.p.cfg.Log.Warn("an instance sent an invalid load report", "service", l.Service, "instance", l.Instance, "reason", err.Error(), "report", string(v[:min(len(v), maxLoadLogged)]))
	}
}

// maxLoadLogged limits the bytes of an invalid report in the log.
const maxLoadLogged = 120

package proxy

// Challenges knows the answers to authorities of certificates that verify a name by HTTP (RFC 8555 §8.3). Answer returns
// the body of the response, empty if a request of that host and path is not such a request. Every plain request asks it,
// so it takes no lock.
type Challenges interface {
	Answer(host, path []byte) string
}

// challenge returns the answer to a request of an authority, empty if the request is none. It comes before redirects and
// routes, on every listener without TLS. A request for a tunnel is none, because 200 would look like a tunnel in HTTP/2.
func (c *conn) challenge(e *exchange) string {
	if c.p.cfg.Challenges == nil || e.set.TLS != nil || string(e.req.Method()) != "GET" || e.req.Upgrade() != nil {
		return ""
	}
	return c.p.cfg.Challenges.Answer(e.req.Host(), e.req.Path())
}

// answerChallenge sends the answer. No route and no instance has a part in it.
func (c *conn) answerChallenge(e *exchange, text string) (keep bool) {
	c.countOwn(200)
	c.identify(e)
	e.used = e.head
	e.body.Start(e.req.Body, e.req.Length)
	keep = c.mayKeep(e)
	c.front.own(c, e, own{status: 200, length: len(text), keep: keep})
	c.front.first(e, []byte(text), true)
	e.sent = int64(len(text))
	c.watch.arm(c.now+int64(c.settings().body), wakeClient)
	err := c.front.flush(c, e, true)
	keep = c.watch.disarm() == 0 && err == nil && keep
	c.logLine(e, nil, 200, "acme-challenge")
	if !keep && c.mayHaveUnread(e) {
		c.linger()
	}
	return keep
}

package proxy

import (
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Stats holds counters since the start of the process, and gauges.
type Stats struct {
	ConnectionsOpen  int                      // of clients, now
	IdleUpstream     int                      // kept connections to instances, now
	Mirrors          int                      // copies of requests under way
	Accepted         uint64                   // client connections
	Refused          uint64                   // client connections above MaxConnections
	PerClient        uint64                   // client connections above MaxPerClient, accepted before
	NoMemory         uint64                   // client connections refused because the memory was exhausted
	Requests         uint64                   // heads, good or bad
	AccessLogDropped uint64                   // lines dropped because the log's writer was too slow or failed
	MessagesDropped  uint64                   // messages of the access log dropped because their writer was too slow
	UpstreamDials    uint64                   // connections made to instances
	UpstreamReuses   uint64                   // requests sent on a kept connection
	UpstreamStale    uint64                   // kept connections found closed, or with bytes that no request asked for
	UpstreamResent   uint64                   // requests sent once more because their kept connection had just been closed
	FieldsDropped    uint64                   // request fields with '_' in their name
	Loops            uint64                   // requests that this proxy had forwarded before
	Sessions         uint64                   // client connections of HTTP/2
	Redirects        uint64                   // requests that were redirected to https
	Tolerated        [h1.NumTolerances]uint64 // responses with this departure
	ParseErrors      [h1.NumClasses]uint64
	Handshakes       [NumHandshakes]uint64          // of TLS, by their end
	Own              [upstream.StatusClasses]uint64 // requests answered without the dispatcher, by class of the status
	ProxyHeaders     [NumProxyHeaders]uint64        // of client connections that must begin with one
	Compressed       [compress.NumCodings]uint64    // responses, by coding
	Uncompressed     uint64                         // responses that passed unchanged because too many were being compressed
}

const countShards = 8 // of counters that every request touches

type counters struct {
	accepted, refused, perClient, noMemory, stale, dials, resent, underscores, loops, sessions, redirects atomic.Uint64
	tolerated                                                                                             [h1.NumTolerances]atomic.Uint64
	parse                                                                                                 [h1.NumClasses]atomic.Uint64
	handshakes                                                                                            [NumHandshakes]atomic.Uint64
	headers                                                                                               [NumProxyHeaders]atomic.Uint64
	shard                                                                                                 [countShards]countShard
	compressed                                                                                            [compress.NumCodings]atomic.Uint64
	uncompressed                                                                                          atomic.Uint64
}

type countShard struct {
	requests, reuses atomic.Uint64
	own              [upstream.StatusClasses]atomic.Uint64 // one cache line each
}

// countOwn counts a request that the proxy answered without the dispatcher.
func (c *conn) countOwn(status int) {
	n := &c.p.count.shard[c.shard]
	n.requests.Add(1)
	n.own[status/100].Add(1)
}

// Stats reads the counters. They are not one consistent snapshot.
func (p *Proxy) Stats() Stats {
	s := Stats{
		ConnectionsOpen: p.conns.len(), IdleUpstream: p.pools.idle(), Mirrors: p.mirrors.len(),
		Accepted: p.count.accepted.Load(), Refused: p.count.refused.Load(), PerClient: p.count.perClient.Load(), NoMemory: p.count.noMemory.Load(),
		UpstreamStale: p.count.stale.Load(), UpstreamResent: p.count.resent.Load(), FieldsDropped: p.count.underscores.Load(), Loops: p.count.loops.Load(), Sessions: p.count.sessions.Load(), Redirects: p.count.redirects.Load(),
		UpstreamDials: p.count.dials.Load(),
	}
	for i := range p.count.shard {
		c := &p.count.shard[i]
		s.Requests += c.requests.Load()
		s.UpstreamReuses += c.reuses.Load()
		for class := range c.own {
			s.Own[class] += c.own[class].Load()
		}
	}
	for i := range p.count.parse {
		s.ParseErrors[i] = p.count.parse[i].Load()
	}
	for i := range p.count.tolerated {
		s.Tolerated[i] = p.count.tolerated[i].Load()
	}
	for i := range p.count.handshakes {
		s.Handshakes[i] = p.count.handshakes[i].Load()
	}
	for i := range p.count.compressed {
		s.Compressed[i] = p.count.compressed[i].Load()
	}
	s.Uncompressed = p.count.uncompressed.Load()
	for i := range p.count.headers {
		s.ProxyHeaders[i] = p.count.headers[i].Load()
	}
	if p.log != nil {
		s.AccessLogDropped = p.log.dropped.Load()
	}
	if p.messages != nil {
		s.MessagesDropped = p.messages.dropped.Load()
	}
	return s
}

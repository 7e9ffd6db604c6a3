package app

import (
	"github.com/smartlb/smartlb/internal/telemetry/shares"
)

// Families of rate limits. A limit of a route has no service, and a limit of a service no route.
var (
	familyLimited      = counter("smartlb_rate_limited_requests_total", "Requests above a rate limit. Mode enforced: they got 429. Mode dry_run: the limit would have refused them.", "route", "service", "limit", "mode")
	familyLimitKeys    = gauge("smartlb_rate_limit_keys", "Clients, headers or cookies whose bucket is not full. With more than 65,536 `maxKeys` it is an estimate.", "route", "service", "limit")
	familyLimitEvicted = counter("smartlb_rate_limit_evictions_total", "Buckets that were forgotten before they were full, because more keys than `maxKeys` were in use. Such a key got a full bucket too early.", "route", "service", "limit")
	familyLimitShared  = gauge("smartlb_rate_limit_shared", "1 while this node agrees with the other nodes on the shares of limits with `scope: fleet`. Only nodes with such limits and Kafka have this series.")
	familyLimitShare   = gauge("smartlb_rate_limit_share", "Part of a limit with `scope: fleet` that this node allows, 0 to 1.", "route", "service", "limit")
)

// limits sends the series of rate limits.
func (c collector) limits(s series) {
	all, now := c.a.data.dispatcher.Limits(), c.a.now()
	if sharer := c.a.data.shares; sharer != nil && len(shares.Shared(all)) > 0 {
		s.flag(familyLimitShared, sharer.Agreed())
	}
	for id, l := range all {
		n := l.Stats(now)
		s.count(familyLimited, n.Enforced, id.Route, id.Service, id.Name, "enforced")
		s.count(familyLimited, n.DryRun, id.Route, id.Service, id.Name, "dry_run")
		s.put(familyLimitKeys, float64(n.Keys), id.Route, id.Service, id.Name)
		s.count(familyLimitEvicted, n.Evicted, id.Route, id.Service, id.Name)
		if l.Fleet {
			s.put(familyLimitShare, n.Share, id.Route, id.Service, id.Name)
		}
	}
}

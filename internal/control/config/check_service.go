package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
)

func (c *checker) service(path string, s Service) {
	c.errorPages(path+".errorPages", s.ErrorPages)
	if err := picker.CheckName(s.Policy); err != nil {
		c.fail(path+".policy", "%v", err)
	}
	c.policy(path, s)
	c.hashBalance(path, s)
	c.concurrency(path+".concurrency", s.Concurrency)
	c.sessions(path+".sessionPersistence", s.SessionPersistence)
	c.ejection(path+".ejection", s.Ejection)
	c.retryBudget(path+".retryBudget", s.RetryBudget)
	if !(s.PanicThreshold >= 0 && s.PanicThreshold <= 1) {
		c.fail(path+".panicThreshold", "want 0 to 1, got %v", s.PanicThreshold)
	}
	if !(s.ZoneSpillover >= 0 && s.ZoneSpillover <= 1) {
		c.fail(path+".zoneSpillover", "want 0 to 1, got %v", s.ZoneSpillover)
	}
	c.zoneCosts(path, s)
	if len(s.Instances) > 0 && !slices.ContainsFunc(s.Instances, func(i Instance) bool { return !i.Backup }) {
		c.useless(path+".instances[0].backup", "has no effect: all instances of the service are backups")
	}
	c.oneOf(path+".protocol", s.Protocol, "http1", "h2c", "h2")
	switch {
	case s.Protocol == "h2" && s.TLS == nil:
		c.fail(path+".protocol", "h2 is HTTP/2 with TLS: add tls, or use h2c for HTTP/2 without TLS")
	case s.Protocol == "h2c" && s.TLS != nil:
		c.fail(path+".protocol", "h2c is HTTP/2 without TLS: use h2, or remove tls")
	}
	c.serviceTLS(path+".tls", s.TLS)
	c.connections(path+".connections", s.Connections)
	c.oneOf(path+".proxyProtocol", s.ProxyProtocol, "v1", "v2")
	if s.ProxyProtocol != "" && s.HTTP2() {
		c.fail(path+".proxyProtocol", "a connection of HTTP/2 carries requests of many clients, so a PROXY header cannot name one: use protocol: http1, or remove proxyProtocol")
	}
	for i, name := range s.GRPCFailures {
		if at := fmt.Sprintf("%s.grpcFailures[%d]", path, i); slices.Index(grpcStatuses, name) <= 0 {
			c.fail(at, "unknown status %q, want one of %s", name, strings.Join(grpcStatuses[1:], ", "))
		}
	}
	if len(s.GRPCFailures) > 0 && !s.HTTP2() {
		c.fail(path+".grpcFailures", "has no effect: instances of gRPC speak HTTP/2; set protocol: h2c, or h2 with tls")
	}
	c.oneOf(path+".strictness", s.Strictness, "tolerant", "strict")
	if len(s.Instances) == 0 && s.Discovery == nil {
		c.fail(path+".instances", "missing: a service wants at least one instance, or discovery")
	}
	c.discovery(path+".discovery", s.Discovery)
	ids, addresses := map[string]string{}, map[string]string{}
	for j, in := range s.Instances {
		at := fmt.Sprintf("%s.instances[%d]", path, j)
		c.instance(at, in)
		c.unique(at+".id", "instance", in.ID, ids)
		c.unique(at+".address", "instance address", sameAddress(in.Address), addresses)
	}
	if s.HealthCheck != nil {
		c.healthCheck(path+".healthCheck", s)
	}
	c.loadReports(path+".loadReports", s)
}

func (c *checker) instance(path string, in Instance) {
	c.id(path+".id", in.ID)
	if in.ID == "_all" {
		c.fail(path+".id", "_all stands for all instances of a service")
	}
	c.endpoint(path+".address", in.Address, false)
	if !(in.Weight >= .01 && in.Weight <= 1000) {
		c.fail(path+".weight", "want 0.01 to 1000, got %v (to take an instance out, use `smartlb drain`)", in.Weight)
	}
}

// policy refuses settings that have no effect with the policy of the service.
func (c *checker) policy(path string, s Service) {
	if at := path + ".slowStart"; c.at[at] > 0 && s.SlowStart > 0 && !picker.RampsUp(s.Policy) {
		c.useless(at, "has no effect: the policy %s has no slow start; remove slowStart, or use another policy", s.Policy)
	}
	if s.SlowStart < 0 {
		c.fail(path+".slowStart", "want 0s or more, got %s", s.SlowStart)
	}
	at := path + ".spread"
	switch {
	case c.at[at] > 0 && s.Policy != picker.DefaultPolicy:
		c.useless(at, "has no effect: only the policy adaptive has spread, this service has %s", s.Policy)
	case !(s.Spread >= 0 && s.Spread <= 1):
		c.fail(at, "want 0 to 1, got %v", s.Spread)
	}
}

// hashing refuses hashOn of a route whose services have no policy that uses it. policies are those of the known services.
func (c *checker) hashing(path string, r Route, policies map[string]string) {
	for _, n := range r.services() {
		if p, known := policies[n]; !known || hashes(p) {
			return
		}
	}
	if r.HashOn != "" {
		c.useless(path+".hashOn", "has no effect: no service of this route has the policy ring_hash or maglev")
	}
}

// grpcStatuses are the names of the status codes of gRPC, by code.
var grpcStatuses = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

func (c *checker) connections(path string, n Connections) {
	if n.Limit < 0 || n.Limit > 1_000_000 {
		c.fail(path+".limit", "want 0 to 1000000, got %d", n.Limit)
	}
	given := func(key string) bool { return c.at[path+key] > 0 }
	if t := n.ConnectTimeout; (given(".connectTimeout") || t != 0) && (t < time.Millisecond || t > maxTimeout) {
		c.fail(path+".connectTimeout", "want 1ms to %s, got %s", maxTimeout, t)
	}
	if (given(".idle") || n.Idle != 0) && (n.Idle < 2 || n.Idle > 65536) {
		c.fail(path+".idle", "want 2 to 65536, got %d", n.Idle)
	}
	if given(".keep") || n.Keep != 0 {
		c.timeouts(path+".", false, []timeout{{"keep", n.Keep}})
	}
}

func (c *checker) serviceTLS(path string, t *ServiceTLS) {
	switch {
	case t == nil:
		return
	case t.Insecure && t.CA != "":
		c.fail(path+".insecure", "accepts every certificate, so ca has no effect: remove one of them")
	}
	if (t.Cert == "") != (t.Key == "") {
		c.fail(path, "cert and key: want both or none")
	}
	if !hostPattern.MatchString(strings.Trim(t.ServerName, "[]")) {
		c.fail(path+".serverName", "%q: want a name without a port", t.ServerName)
	}
}

func (c *checker) zoneCosts(path string, s Service) {
	region := s.CrossZoneCost
	if c.at[path+".crossRegionCost"] > 0 {
		region = s.CrossRegionCost
	}
	switch {
	case !(s.CrossZoneCost >= 1 && s.CrossZoneCost <= 1000):
		c.fail(path+".crossZoneCost", "want 1 to 1000, got %v", s.CrossZoneCost)
	case !(region >= s.CrossZoneCost && region <= 1000):
		c.fail(path+".crossRegionCost", "want at least crossZoneCost (%v), and at most 1000, got %v", s.CrossZoneCost, region)
	case region > 1 && s.ZoneSpillover != 0:
		key := ".crossRegionCost"
		if s.CrossZoneCost > 1 {
			key = ".crossZoneCost"
		}
		c.fail(path+key, "needs zoneSpillover: 0; with zoneSpillover %v, the share of healthy instances decides which zones take requests, not a cost", s.ZoneSpillover)
	}
}

package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
)

// Rate is a number of requests in a time.
type Rate struct {
	Count int           // 1 to maxRate
	Per   time.Duration // 1s, 1m or 1h
}

// Bounds of rate limits. A request asks all limits of its route and service, and the record by which nodes share limits
// holds all of them.
const (
	maxRate        = 1_000_000
	maxRefill      = 720 * time.Hour // until an empty bucket is full
	minLimitKeys   = 1000
	maxLimitKeys   = 10_000_000
	maxKeysInAll   = 20_000_000 // 320 MB
	limitKeys      = 50_000     // without maxKeys
	maxRateLimits  = ratelimit.MaxPerRequest / 2
	maxFleetLimits = 100
)

var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

var errRate = errors.New("want requests per second, minute or hour, such as 100/s, 30/m or 1000/h, and 1 to 1000000 of them")

// UnmarshalText reads 100/s, 30/m or 1000/h.
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(count, 10, 32) // accepts no sign
	per, ok := periods[unit]
	if err != nil || !ok || n < 1 || n > maxRate {
		return errRate
	}
	*r = Rate{int(n), per}
	return nil
}

// String returns the rate as a document has it.
func (r Rate) String() string {
	for unit, per := range periods {
		if per == r.Per {
			return strconv.Itoa(r.Count) + "/" + unit
		}
	}
	return ""
}

func fillLimits(path string, limits []RateLimit, given func(string) bool) {
	for i := range limits {
		l := &limits[i]
		at := fmt.Sprintf("%s.rateLimits[%d]", path, i)
		orDefault(&l.Burst, l.Rate.Count, given(at+".burst"))
		orDefault(&l.MaxKeys, limitKeys, given(at+".maxKeys"))
	}
}

// rateLimits checks the limits of one route or service.
func (c *checker) rateLimits(path string, limits []RateLimit) {
	names := map[string]string{}
	for i, l := range bounded(c, path, "limits", limits, maxRateLimits) {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.id(at+".name", l.Name)
		c.unique(at+".name", "rate limit", l.Name, names)
		c.oneOf(at+".scope", l.Scope, "node", "fleet")
		c.bucket(at, l)
		c.limitKeys(at, l)
		if l.Scope == "fleet" {
			if c.fleets++; c.fleets == maxFleetLimits+1 {
				c.fail(at+".scope", "more than %d limits of the configuration have the scope fleet", maxFleetLimits)
			}
		}
	}
}

// bucket checks rate and burst.
func (c *checker) bucket(at string, l RateLimit) {
	if l.Rate.Count == 0 {
		c.fail(at+".rate", "missing: %v", errRate)
		return
	}
	if l.Burst < 1 || l.Burst > maxRate {
		c.fail(at+".burst", "want 1 to %d, got %d", maxRate, l.Burst)
		return
	}
	if refill := l.Rate.Per / time.Duration(l.Rate.Count) * time.Duration(l.Burst); refill > maxRefill {
		c.fail(at+".burst", "%d requests at %s take %s to come back, more than %s", l.Burst, l.Rate, refill.Round(time.Minute), maxRefill)
	}
}

// limitKeys checks what distinguishes the buckets of a limit, and their number.
func (c *checker) limitKeys(at string, l RateLimit) {
	by, err := ratelimit.ParseBy(l.By)
	switch {
	case err != nil:
		c.fail(at+".by", "%v", err)
	case by.Name != "" && !tokenPattern.MatchString(by.Name):
		c.fail(at+".by", "%q: the name of a header or cookie has no such character", by.Name)
	case by.Kind == ratelimit.Whole:
		if _, given := c.at[at+".maxKeys"]; given {
			c.fail(at+".maxKeys", "has no effect without by: all requests share one bucket")
		}
	case l.MaxKeys < minLimitKeys || l.MaxKeys > maxLimitKeys:
		c.fail(at+".maxKeys", "want %d to %d, got %d", minLimitKeys, maxLimitKeys, l.MaxKeys)
	default:
		before := c.keys
		if c.keys += l.MaxKeys; before <= maxKeysInAll && c.keys > maxKeysInAll {
			c.fail(at+".maxKeys", "with this limit, maxKeys of all limits add up to more than %d", maxKeysInAll)
		}
	}
}

// unusedKeys warns about limits by a header that no request has. underscores and reserved are as for unmatched.
func (c *checker) unusedKeys(path string, limits []RateLimit, underscores bool, reserved []string) {
	for i, l := range limits {
		by, _ := ratelimit.ParseBy(l.By)
		at := fmt.Sprintf("%s[%d].by", path, i)
		switch {
		case by.Kind != ratelimit.Header:
		case strings.Contains(by.Name, "_") && !underscores:
			c.warn(at, "always counts for the client's address: no listener lets headers with _ in their name through (underscoreHeaders: keep)")
		case slices.ContainsFunc(reserved, func(n string) bool { return sameHeader(n, by.Name) }):
			c.warn(at, "always counts for the client's address: the proxy removes %s from what clients send, because clientCertificates names it", by.Name)
		}
	}
}

// compileLimits compiles the checked limits of the route or service that id names.
func compileLimits(id ratelimit.ID, limits []RateLimit, before, all map[ratelimit.ID]*ratelimit.Limit) ([]*ratelimit.Limit, error) {
	var out []*ratelimit.Limit
	for _, l := range limits {
		by, err := ratelimit.ParseBy(l.By)
		if err != nil {
			return nil, fmt.Errorf("rateLimits: %w", err)
		}
		id.Name = l.Name
		spec := ratelimit.Spec{ID: id, Count: l.Rate.Count, Per: l.Rate.Per, Burst: l.Burst, By: by, Fleet: l.Scope == "fleet", DryRun: l.DryRun}
		if by.Kind != ratelimit.Whole {
			spec.Keys = l.MaxKeys
		}
		one := ratelimit.New(spec, before)
		all[id] = one
		out = append(out, one)
	}
	return out, nil
}

// String describes the limit for people.
func (l RateLimit) String() string {
	out := l.Name + " " + l.Rate.String()
	if l.Burst != l.Rate.Count {
		out += " burst " + strconv.Itoa(l.Burst)
	}
	if l.By != "" {
		out += " by " + l.By
	}
	if l.Scope == "fleet" {
		out += ", all nodes together"
	}
	if l.DryRun {
		out += ", dry run"
	}
	return out
}

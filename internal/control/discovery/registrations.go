package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Announcement is what a message in Kafka says about an instance that registers itself.
type Announcement struct {
	Service, Instance string
	Address           string // host:port; "": the message only shows that the instance lives
	Tags              map[string]string
	Leaving, Staying  bool      // the instance says that it stops, or that it takes requests
	Signed            time.Time // when a key that speaks for the service signed it; zero: no such signature
}

// Registrations are the instances that registered themselves, for the services that permit it. Its methods are safe for
// concurrent use; none of them blocks.
type Registrations struct {
	mu       sync.Mutex
	services map[string]*registered
	live     bool      // the latest messages were read, and Kafka can be reached
	contact  time.Time // when a broker last answered: silence after it is not that of instances
	reading  uint64    // grows when the latest messages must be read again
}

// registered is one service.
type registered struct {
	bounds    Bounds
	ports     portRanges
	signed    bool // only signed messages count
	instances map[string]*registration
	changed   bool
	refused   uint64
	refusal   string // the latest reason
}

type registration struct {
	address string
	tags    map[string]string
	last    time.Time
	gaps    [4]time.Duration // between the latest messages
	n       int
	leaving bool
	trusted bool         // whether leaving was signed
	signed  [2]time.Time // when the latest signed message was signed: a report, a status
}

// Times of registrations.
const (
	firstGap  = 10 * time.Second // interval of an instance that sent one message so far
	shortGap  = time.Second      // shortest interval: messages arrive in batches
	longGap   = time.Minute
	silentFor = 3 // intervals without a message, after which an instance has left
)

// NewRegistrations returns registrations without services.
func NewRegistrations() *Registrations { return &Registrations{services: map[string]*registered{}} }

// Observe notes a message that was received at now. It returns why the instance may not register as it says, "" if it may.
// Messages of services without registration do nothing.
func (r *Registrations) Observe(a Announcement, now time.Time) (refusal string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[a.Service]
	if s == nil {
		return ""
	}
	in := s.instances[a.Instance]
	signed, why := a.fresh(in, now)
	if s.signed && !signed {
		return s.refuse(fmt.Sprintf("instance %.80q: %s, and requireSignature is true", a.Instance, why))
	}
	if in == nil && (a.Address == "" || a.Leaving) {
		return ""
	}
	if a.Address != "" && (in == nil || in.address != a.Address) {
		if why := s.mayUse(a, in, now); why != "" {
			return s.refuse(why)
		}
		next := &registration{address: strings.Clone(a.Address), last: now}
		if in != nil { // an old message does not count after a move, either
			next.signed = in.signed
		}
		in = next
		s.instances[strings.Clone(a.Instance)] = in
		s.changed = true
	} else if gap := now.Sub(in.last); gap > 0 {
		in.gaps[in.n%len(in.gaps)] = gap
		in.n++
		in.last = now
	}
	if a.Tags != nil && !maps.Equal(a.Tags, in.tags) && fits(a.Tags) {
		in.tags, s.changed = maps.Clone(a.Tags), true
	}
	if signed {
		in.signed[a.kind()] = a.Signed
	}
	if was := in.leaving; a.Leaving || a.Staying {
		in.leaving, in.trusted = a.Leaving, a.Leaving && signed
		s.changed = s.changed || was != in.leaving
	}
	return ""
}

// fresh reports whether a signature counts, or why it does not: an old message that is appended again says nothing. Reports
// and statuses are in two topics, so their order is that of each topic only.
func (a Announcement) fresh(in *registration, now time.Time) (bool, string) {
	switch age := now.Sub(a.Signed); {
	case a.Signed.IsZero():
		return false, "no key for the service signed its message"
	case age > RegistrationAge || age < -RegistrationAge:
		return false, fmt.Sprintf("its message was signed at %s, and the clock here is at %s", a.Signed.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case in != nil && a.Signed.Before(in.signed[a.kind()]):
		return false, "a message that was signed later arrived before"
	}
	return true, ""
}

// kind is 1 for a status and 0 for a report.
func (a Announcement) kind() int {
	if a.Leaving || a.Staying {
		return 1
	}
	return 0
}

// refuse counts a message and returns why it was refused.
func (s *registered) refuse(why string) string {
	s.refused++
	s.refusal = short(why)
	return s.refusal
}

// fits reports whether tags are within the bounds of labels.
func fits(tags map[string]string) bool {
	if len(tags) > maxLabels {
		return false
	}
	for k, v := range tags {
		if !tagText(k) || !tagText(v) {
			return false
		}
	}
	return true
}

// mayUse returns why an instance may not register with an address. An instance that reports keeps its address, so that no
// other client can move its requests away.
func (s *registered) mayUse(a Announcement, in *registration, now time.Time) string {
	name := fmt.Sprintf("instance %.80q with the address %.80q", a.Instance, a.Address)
	candidate := config.Instance{ID: a.Instance, Address: a.Address, Weight: 1}
	if err := candidate.Check(); err != nil {
		return name + ": " + err.Error()
	}
	if err := s.bounds.address(a.Address); err != nil {
		return name + ": " + err.Error()
	}
	if !s.ports.has(a.Address) {
		return name + ": its port is not in discovery.kafka.ports"
	}
	if in != nil && !in.gone(now) {
		return name + ": it reports with the address " + in.address
	}
	same := config.SameAddress(a.Address)
	for id, other := range s.instances {
		if id != a.Instance && config.SameAddress(other.address) == same && !other.gone(now) {
			return name + fmt.Sprintf(": the instance %.80q reports with this address", id)
		}
	}
	if in == nil && len(s.instances) >= s.bounds.Most {
		return name + fmt.Sprintf(": %d instances are registered, maxInstances permits no more", len(s.instances))
	}
	return ""
}

// interval is the longest of the latest times between two messages: reporters send less often while nothing changes.
func (in *registration) interval() time.Duration {
	if in.n == 0 {
		return firstGap
	}
	return min(max(slices.Max(in.gaps[:]), shortGap), longGap)
}

func (in *registration) silent(now time.Time) bool {
	return now.Sub(in.last) > silentFor*in.interval()
}

// gone reports whether the address of an instance may be given away. A DRAINING message of anybody does not suffice.
func (in *registration) gone(now time.Time) bool { return in.leaving && in.trusted || in.silent(now) }

// Live says whether Kafka can be reached and the latest messages, at least of [RegistrationAge], were read, and when a broker
// last answered. While it is not live, and after that time, silence means nothing.
func (r *Registrations) Live(live bool, contact time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if live && !r.live {
		for _, s := range r.services {
			for _, in := range s.instances {
				in.last = contact
			}
			s.changed = true
		}
	}
	r.live, r.contact = live, contact
}

// RegistrationAge is the age of the oldest messages that must be read: an instance that reports has sent one since.
const RegistrationAge = silentFor * longGap / 2

// Wanted returns a number that changes when a service permits registration, because the latest messages must then be read
// again; 0: no service does.
func (r *Registrations) Wanted() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.services) == 0 {
		return 0
	}
	return r.reading
}

// open permits registration for a service; done ends that. Nothing is live until the latest messages were read again.
func (r *Registrations) open(service string, b Bounds, ports portRanges, signed bool) (done func()) {
	s := &registered{bounds: b, ports: ports, signed: signed, instances: map[string]*registration{}, changed: true}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was := r.services[service]; was != nil { // of the configuration before
		for id, in := range was.instances {
			if b.address(in.address) == nil && ports.has(in.address) && len(s.instances) < b.Most {
				s.instances[id] = in
			}
		}
	}
	r.services[service] = s
	r.reading++
	r.live = false
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.services[service] == s {
			delete(r.services, service)
		}
	}
}

// list returns the instances of a service, in no order. same is true if they are those of the call before. live is
// false if nothing can be said.
func (r *Registrations) list(service string) (found []config.Instance, same, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := r.services[service], r.contact
	if s == nil || !r.live {
		return nil, false, false
	}
	for id, in := range s.instances {
		if in.silent(now) {
			delete(s.instances, id)
			s.changed = true
		}
	}
	same, s.changed = !s.changed, false
	found = make([]config.Instance, 0, len(s.instances))
	for id, in := range s.instances {
		// A DRAINING message of anybody drains by the rules of health-status. Here it counts when the instance is silent, too.
		going := in.leaving && (in.trusted || now.Sub(in.last) > in.interval()*3/2)
		same = same && !going
		found = append(found, config.Instance{ID: id, Address: in.address, Weight: 1, Tags: in.tags, Draining: going})
	}
	return found, same, true
}

// refusals returns how many messages of a service were refused, and why the latest one was.
func (r *Registrations) refusals(service string) (n uint64, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.services[service]; s != nil {
		return s.refused, s.refusal
	}
	return 0, ""
}

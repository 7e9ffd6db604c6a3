package shares

import (
	"maps"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

const (
	whole = 1_000_000 // millionths of a limit

	contactTime  = int64(3 * time.Second) // a grant counts for this long after its record was sent
	silentTime   = int64(5 * time.Second) // a process that sends nothing for this long loses its shares
	settleTime   = int64(3 * time.Second) // a process that begins or returns has at least an equal share for this long
	maxProcesses = 1000                   // any client of the cluster can invent more
	sweepTime    = int64(100 * time.Millisecond)
	maxFlight    = 60 // records of this process that were not read yet; older ones are lost
)

// Book holds what the processes want of the limits, and what they get. It is not safe for concurrent use. Times are
// nanoseconds of the clock of the process.
type Book struct {
	node, process string
	processes     map[string]*process
	granted       map[string]int64 // sum of all processes, by limit

	limits   map[string]bool    // of the configuration
	demand   map[string]float64 // of this process, smoothed
	sequence int64
	flight   []sent
	contact  int64            // when the latest record of this process that was read was sent; 0: none was
	settling map[string]int64 // until when the share of a limit is at least an equal one
	took     int64            // when the latest record was read
	resumed  int64            // when records arrived again after a pause
	swept    int64            // when expire last ran
}

// process is what one process of a node said last.
type process struct {
	sequence, heard int64
	claims          map[string]claim
}

type claim struct {
	demand  float64
	granted int64
}

// sent is a record of this process that it has not read yet.
type sent struct {
	sequence, at int64
	wants        map[string]int64
}

// NewBook returns a book for the process of a node that id names. The id is unique among all processes.
func NewBook(node, id string) *Book {
	b := &Book{node: node, process: id}
	b.processes, b.granted, b.settling = map[string]*process{}, map[string]int64{}, map[string]int64{}
	b.limits, b.demand = map[string]bool{}, map[string]float64{}
	return b
}

// SetLimits sets the limits that the configuration has. Claims of other limits are ignored.
func (b *Book) SetLimits(limits map[string]bool) {
	if maps.Equal(b.limits, limits) {
		return
	}
	b.limits = limits
	maps.DeleteFunc(b.demand, func(limit string, _ float64) bool { return !limits[limit] })
	for _, p := range b.processes {
		maps.DeleteFunc(p.claims, func(limit string, _ claim) bool { return !limits[limit] })
	}
	maps.DeleteFunc(b.granted, func(limit string, _ int64) bool { return !limits[limit] })
	maps.DeleteFunc(b.settling, func(limit string, _ int64) bool { return !limits[limit] })
}

// Next returns the next record of this process. rates are the requests per second of each limit since the record before.
func (b *Book) Next(rates map[string]float64, now int64) event.RateLimits {
	b.sequence++
	out := event.RateLimits{Node: b.node, Process: b.process, Sequence: b.sequence, Limits: []event.LimitClaim{}}
	wants := map[string]int64{}
	for limit, rate := range rates {
		before, known := b.demand[limit]
		if !known {
			before = rate
		}
		own := (before + rate) / 2
		b.demand[limit] = own
		wants[limit] = target(own, b.others(limit), b.count())
		out.Limits = append(out.Limits, event.LimitClaim{Limit: limit, Demand: own, Want: wants[limit]})
	}
	b.flight = append(b.flight, sent{b.sequence, now, wants})
	b.flight = b.flight[max(0, len(b.flight)-maxFlight):]
	return out
}

// Leave returns the last record of this process, which frees its shares.
func (b *Book) Leave() event.RateLimits {
	b.sequence++
	return event.RateLimits{Node: b.node, Process: b.process, Sequence: b.sequence, Limits: []event.LimitClaim{}}
}

// reserve is the part of a limit that is divided equally, so that a node without traffic can let its first requests pass.
const reserve = .1

// target returns the share that a process wants, in millionths: most of the limit is divided by demand.
func target(own, others float64, processes int) int64 {
	equal := 1 / float64(processes)
	if own+others <= 0 {
		return int64(whole * equal)
	}
	return int64(whole * (reserve*equal + (1-reserve)*own/(own+others)))
}

// Take reads a record. Records must be read in the order of the log.
func (b *Book) Take(r event.RateLimits, now int64) {
	if now-b.took > contactTime {
		b.resumed = now // the others were not silent: nothing could be read
	}
	b.took = now
	b.expire(now)
	name := r.Node + "/" + r.Process
	p := b.processes[name]
	if p == nil {
		if len(b.processes) >= maxProcesses && name != b.self() {
			return
		}
		p = &process{}
		b.processes[name] = p
	}
	if r.Sequence <= p.sequence {
		return // a copy
	}
	p.sequence, p.heard = r.Sequence, now
	b.grant(p, r.Limits)
	if name == b.self() {
		b.answered(p, now)
	}
}

func (b *Book) self() string { return b.node + "/" + b.process }

// grant replaces the claims of a process. Limits that this process does not have are ignored.
func (b *Book) grant(p *process, limits []event.LimitClaim) {
	b.free(p)
	p.claims = map[string]claim{}
	for _, c := range limits {
		if _, twice := p.claims[c.Limit]; !b.limits[c.Limit] || twice {
			continue
		}
		granted := max(min(c.Want, whole-b.granted[c.Limit]), 0)
		p.claims[c.Limit] = claim{min(c.Demand, maxDemand), granted}
		b.granted[c.Limit] += granted
	}
}

// maxDemand bounds what a record can say about a node: no node has more requests per second.
const maxDemand = 1e8

func (b *Book) free(p *process) {
	for limit, c := range p.claims {
		if b.granted[limit] -= c.granted; b.granted[limit] == 0 {
			delete(b.granted, limit)
		}
	}
}

// answered notes that this process has read a record of its own.
func (b *Book) answered(p *process, now int64) {
	returned := !b.inContact(now)
	for len(b.flight) > 0 && b.flight[0].sequence <= p.sequence {
		if b.flight[0].sequence == p.sequence {
			b.contact = b.flight[0].at
		}
		b.flight = b.flight[1:]
	}
	for limit := range p.claims {
		if _, settled := b.settling[limit]; returned || !settled {
			b.settling[limit] = now + settleTime
		}
	}
}

// expire forgets the processes that sent nothing for silentTime while records arrived.
func (b *Book) expire(now int64) {
	if now-b.swept < sweepTime {
		return
	}
	b.swept = now
	for name, p := range b.processes {
		if now-max(p.heard, b.resumed) > silentTime {
			b.free(p)
			delete(b.processes, name)
		}
	}
}

// inContact reports whether the shares are agreed with the other processes.
func (b *Book) inContact(now int64) bool { return b.contact != 0 && now-b.contact <= contactTime }

// others returns the demand of the other processes.
func (b *Book) others(limit string) (sum float64) {
	for name, p := range b.processes {
		if name != b.self() {
			sum += p.claims[limit].demand
		}
	}
	return sum
}

// count returns the number of known processes, with this one.
func (b *Book) count() int {
	n := len(b.processes)
	if b.processes[b.self()] == nil {
		n++
	}
	return n
}

// Share returns the part of a limit that this process may use, 0 to 1. Without contact, it is the same part for all processes
// that were known.
func (b *Book) Share(limit string, now int64) float64 {
	equal := 1 / float64(b.count())
	if !b.inContact(now) {
		return equal
	}
	own := b.processes[b.self()]
	if own == nil {
		return equal
	}
	c, claimed := own.claims[limit]
	if !claimed {
		return equal
	}
	use := c.granted
	for _, s := range b.flight {
		if want, ok := s.wants[limit]; ok {
			use = min(use, want)
		}
	}
	share := float64(use) / whole
	if now < b.settling[limit] {
		share = max(share, equal)
	}
	return share
}

package api

import (
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/dataplane/trend"
)

// Past is the stored history of one instance: each of the last 180 seconds, the latest health checks and the latest
// changes of standing.
type Past struct {
	Service   string     `json:"service"`
	Instance  string     `json:"instance"`
	At        time.Time  `json:"at"`
	Seconds   []Second   `json:"seconds"`   // oldest first
	Probes    []Checked  `json:"probes"`    // oldest first, at most 60
	Standings []Stood    `json:"standings"` // oldest first, at most 20
	Reports   []Reported `json:"reports"`   // the latest health-status messages about the instance
}

// Second describes an instance in one second.
type Second struct {
	At        time.Time `json:"at"`
	State     string    `json:"state"`
	Requests  float64   `json:"requests"`
	Errors    float64   `json:"errors"`
	Share     float64   `json:"share"` // of the ten seconds that end with this second
	FairShare float64   `json:"fairShare"`
	Weight    float64   `json:"weight"`
	Cost      *Cost     `json:"cost"` // null: unknown
}

// Checked is one result of a health check.
type Checked struct {
	At     time.Time `json:"at"`
	TookMs float64   `json:"tookMs"`
	OK     bool      `json:"ok"`
	Event  bool      `json:"event"` // the check ran because a connection broke
	Status int       `json:"status,omitempty"`
	Detail string    `json:"detail,omitempty"` // why the check failed
}

// Stood is one change of standing.
type Stood struct {
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"` // end of an ejection
}

// Reported is the latest health-status message of one sender.
type Reported struct {
	Sender string  `json:"sender"` // empty: the instance itself, or a sender without a name
	Status string  `json:"status"`
	AgeMs  float64 `json:"ageMs"`
	Holds  bool    `json:"holds"` // the message still counts
}

// FromPast converts the history of an instance in t.
func FromPast(t *trend.Trend, service, instance string) Past {
	p := Past{Service: service, Instance: instance, At: readable.Moment(time.Now()), Seconds: []Second{}, Probes: []Checked{}, Standings: []Stood{}, Reports: []Reported{}}
	for _, s := range t.Seconds(service, instance) {
		out := Second{At: s.At, State: s.Out.String(), Requests: float64(s.Requests), Errors: float64(s.Errors), Share: s.Share, FairShare: s.FairShare, Weight: s.Weight}
		if s.LatencyFactor > 0 {
			out.Cost = costOf(s)
		}
		p.Seconds = append(p.Seconds, out)
	}
	probes, standings := t.Events(service, instance)
	for _, c := range probes {
		p.Probes = append(p.Probes, Checked{At: readable.Moment(c.At), TookMs: float64(c.Took) / 1e6, OK: c.OK, Event: c.Event, Status: c.Status, Detail: c.Detail})
	}
	for _, c := range standings {
		s := Stood{At: readable.Moment(c.At), From: c.From, To: c.To, Reason: c.Reason}
		if !c.Until.IsZero() {
			s.Until = readable.Moment(c.Until)
		}
		p.Standings = append(p.Standings, s)
	}
	return p
}

// costOf computes the total of a stored cost from its parts.
func costOf(s trend.Second) *Cost {
	c := &Cost{
		LatencyFactor: finite(s.LatencyFactor), ErrorFactor: max(1, finite(s.ErrorFactor)), Error: s.Error, Silence: max(1, finite(s.Silence)), InFlight: int64(s.InFlight),
		Capacity: finite(s.Capacity), Veto: min(1, s.Veto), SlowStart: min(1, s.SlowStart),
	}
	if share := s.Weight * c.Capacity * c.Veto; share > 0 && c.SlowStart > 0 {
		c.Total = finite((float64(c.InFlight)/c.SlowStart + 1) / share * c.LatencyFactor * c.ErrorFactor * c.Silence)
	} else {
		c.Total = unpayable
	}
	return c
}

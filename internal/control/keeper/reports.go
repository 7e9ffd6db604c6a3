package keeper

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// How long a health-status message of another sender holds, from its arrival.
const (
	reportAlone   = 30 * time.Second // after a single message
	reportPeriods = 3                // otherwise this number of its sender's intervals
	reportMin     = time.Second      // lower bound of an interval
	reportMax     = time.Minute      // upper bound of an interval
)

// sender is the source of a report. An unsigned message never counts for a signed sender with the same name.
type sender struct {
	name   string
	signed bool
}

// report is the latest health-status message of one sender about one instance.
type report struct {
	status  string
	weight  float64   // share of its weight that the instance asks for, 0: not said
	first   int64     // process clock: the sender's first report
	since   int64     // process clock: when the current status began
	at      int64     // process clock
	said    time.Time // by the sender's clock, no later than the local clock and no earlier than reportMax before
	arrived int64     // ns between the arrivals of the last two messages of one status, 0 if unknown
	claimed int64     // the same interval by the sender's clock
}

// holds reports whether the report still counts. It also uses the interval by the sender's clock, because messages that
// are read in one batch arrive together. This interval cannot make two messages hold longer than one message.
func (r *report) holds(now int64) bool {
	if r.arrived == 0 && r.claimed == 0 {
		return now-r.at <= int64(reportAlone)
	}
	return now-r.at <= max(periods(r.arrived), min(periods(r.claimed), int64(reportAlone)))
}

func periods(interval int64) int64 {
	return reportPeriods * min(max(interval, int64(reportMin)), int64(reportMax))
}

// again records the sender's interval. A change of status can come at any time, so it gives no interval.
func (r *report) again(status string, said time.Time, now int64) {
	if r.status == status {
		r.arrived, r.claimed = max(now-r.at, 1), max(int64(said.Sub(r.said)), 1)
	}
}

// ObserveStatus records a health-status message. signed says whether a known key signed it. Messages of this proxy are
// ignored, because the probe already reported the result, and so are those about an earlier instance of the same id.
func (k *Keeper) ObserveStatus(h event.HealthStatus, reporter string, signed bool) {
	if reporter == k.cfg.Reporter && reporter != "" {
		return
	}
	by := sender{strings.Clone(reporter[:min(len(reporter), maxSenderName)]), signed}
	k.mu.Lock()
	defer k.mu.Unlock()
	key := member{h.ServiceID, h.InstanceID}
	if !k.known(key) || h.Timestamp.Before(k.services[key.service].instances[key.instance].joined) {
		return
	}
	now, wall := k.cfg.Now(), k.cfg.Wall()
	said := h.Timestamp
	if said.After(wall) {
		said = wall
	} else if earliest := wall.Add(-reportMax); said.Before(earliest) {
		said = earliest
	}
	r := k.reports[key][by]
	if r == nil {
		if !k.makeRoom(key, by, now) {
			return
		}
		r = &report{first: now, since: now}
		if k.reports[key] == nil {
			k.reports[key] = map[sender]*report{}
		}
		k.reports[key][by] = r
	} else {
		r.again(h.Status, said, now)
	}
	r.at, r.said = now, said
	r.weight = h.Weight.Or(0)
	if r.status != h.Status {
		r.status, r.since = h.Status, now
		k.Wake()
	}
}

// Limits of the reports kept per instance, because any client that may write to the topic can send reports.
const (
	maxSenders    = 64  // without a signature, and the same number with a signature
	maxSenderName = 256 // bytes; a header may have ten million
)

// makeRoom drops reports that no longer hold. If there are still too many of the same kind (signed or unsigned), it
// drops the sender that came last. Earlier senders therefore stay, however many names an attacker invents. The instance
// itself, which has no name, always has room.
func (k *Keeper) makeRoom(key member, by sender, now int64) bool {
	count := 0
	var last sender
	var lastAt int64 = -1
	for s, r := range k.reports[key] {
		if !r.holds(now) {
			delete(k.reports[key], s)
			continue
		}
		if s.signed != by.signed {
			continue
		}
		count++
		if s.name != "" && (r.first > lastAt || r.first == lastAt && s.name > last.name) {
			last, lastAt = s, r.first
		}
	}
	if count < maxSenders || by.name == "" {
		return true
	}
	delete(k.reports[key], last)
	return true
}

// wish is the effect that the reports about an instance request: drain it, or treat it as unhealthy.
type wish struct {
	live   *upstream.Live
	out    upstream.Reason // Draining or Reported
	since  int64
	signed bool
}

// granted returns the instances of a service that reports take out.
//
// Any program that may write to the topic can write reports. Unsigned reports therefore take out no more instances than
// may be ejected, and never the last instance that does not drain. Earlier requests have priority. crowd says that the
// reports request more than that, whether or not they are granted.
func (k *Keeper) granted(s *service, now int64) (out map[*upstream.Live]upstream.Reason, crowd bool) {
	var wishes []wish
	staying := len(s.spec.Entries)
	for _, e := range s.spec.Entries {
		key := member{e.Live.Service, e.Live.Instance}
		if k.overrides[key].draining {
			staying--
			continue
		}
		if len(k.reports[key]) == 0 {
			continue
		}
		if w, ok := k.wish(s, key, now); ok {
			w.live = e.Live
			wishes = append(wishes, w)
		}
	}
	if len(wishes) == 0 {
		return nil, false
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		if a.signed != b.signed {
			return cmp.Compare(btoi(b.signed), btoi(a.signed))
		}
		return cmp.Compare(a.since, b.since)
	})
	most := s.spec.Ejection.Most(len(s.spec.Entries))
	out = map[*upstream.Live]upstream.Reason{}
	free := 0 // instances taken out without a signature
	for _, w := range wishes {
		switch {
		case w.signed:
		case free >= most || staying-len(out) <= 1:
			continue
		default:
			free++
		}
		out[w.live] = w.out
	}
	return out, len(wishes) > most || len(wishes) >= staying
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// weight returns the share of its weight that an instance asks for, 0 if no report that holds says so. A signed report has
// priority, then the lowest share.
func (k *Keeper) weight(key member, now int64) (share float64) {
	signed := false
	for by, r := range k.reports[key] {
		if r.weight <= 0 || !r.holds(now) || signed && !by.signed {
			continue
		}
		if share == 0 || by.signed && !signed || r.weight < share {
			share, signed = r.weight, by.signed
		}
	}
	return share
}

// wish combines the reports about an instance that still hold. If a probe of this proxy has a result, UNHEALTHY is
// ignored.
func (k *Keeper) wish(s *service, key member, now int64) (w wish, ok bool) {
	probed := picker.Unknown
	if in := s.instances[key.instance]; in != nil {
		probed = in.probe
	}
	for by, r := range k.reports[key] {
		if !r.holds(now) {
			continue
		}
		one := wish{since: r.since, signed: by.signed}
		switch {
		case r.status == event.StatusDraining:
			one.out = upstream.Draining
		case r.status == event.StatusUnhealthy && probed == picker.Unknown:
			one.out = upstream.Reported
		default:
			continue
		}
		if !ok || stronger(one, w) {
			w, ok = one, true
		}
	}
	return w, ok
}

// stronger orders wishes about one instance: signed before unsigned, then drains first, then the older wish.
func stronger(a, b wish) bool {
	switch {
	case a.signed != b.signed:
		return a.signed
	case a.out != b.out:
		return a.out == upstream.Draining
	}
	return a.since < b.since
}

// Crowds lists the services for which reports request to take out more instances than they may without a signature.
func (k *Keeper) Crowds() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for id, s := range k.services {
		if s.crowd {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

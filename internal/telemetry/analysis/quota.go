package analysis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// Anybody may write reports about instances that nobody configured. They have a
// quota, so that they cannot take the room of the configured ones, whose number
// the configuration bounds.
const (
	maxStrangers        = 20_000 // instances of one task that no configuration names, and
	maxStrangersService = 1000   // of one service
	maxStrangerAlerts   = 500    // active alerts of a task from which on such instances raise no more
	quotaHolds          = 10 * time.Second
)

// Instances are the configured instances by service.
type Instances map[string]map[string]bool

// Has tells whether an instance is configured.
func (k Instances) Has(service, instance string) bool { return k[service][instance] }

// quota is what was refused last for want of room.
type quota struct {
	at      time.Time
	service string
	count   uint64
}

// SetConfigured tells which instances are configured now.
func (t *Task) SetConfigured(k Instances) {
	t.configured, t.strangers = k, 0
	for _, s := range t.services {
		s.strangers = 0
		for _, i := range s.instances {
			if i.stranger = !k.Has(s.id, i.id); i.stranger {
				s.strangers++
			}
		}
		t.strangers += s.strangers
	}
}

// instance finds or makes the state of an instance, nil when there are too many
// that nobody configured.
func (t *Task) instance(serviceID, instanceID string, now time.Time) *instance {
	s := t.services[serviceID]
	var i *instance
	if s != nil {
		i = s.instances[instanceID]
	}
	if i == nil {
		stranger := !t.configured.Has(serviceID, instanceID)
		if stranger && (t.strangers >= maxStrangers || s != nil && s.strangers >= maxStrangersService) {
			t.dropped["too-many-instances"]++
			t.quota = quota{now, serviceID, t.quota.count + 1}
			return nil
		}
		if s == nil {
			s = &service{id: serviceID, instances: map[string]*instance{}}
			t.services[serviceID] = s
		}
		i = newInstance(s, instanceID)
		s.instances[instanceID] = i
		if i.stranger = stranger; stranger {
			s.strangers++
			t.strangers++
		}
	}
	if now.After(i.touched) {
		i.touched = now
	}
	return i
}

// drop forgets an instance.
func (t *Task) drop(s *service, i *instance) {
	delete(s.instances, i.id)
	if i.stranger {
		s.strangers--
		t.strangers--
	}
}

// judgeQuota raises an alert while reports are refused for want of room. Its
// labels do not name the service: strangers choose its name.
func (t *Task) judgeQuota(now time.Time, fx *Effects) {
	j := rule.Judgement{Rule: rule.TelemetryQuota, Verdict: rule.Good, Labels: map[string]string{"partition": strconv.Itoa(int(t.cfg.Partition))}}
	if q := t.quota; q.count > 0 && now.Sub(q.at) <= quotaHolds {
		j.Verdict, j.Value = rule.Bad, event.Some(float64(q.count))
		j.Summary = "reports about too many instances that are not configured"
		j.Description = fmt.Sprintf("%d reports were refused so far, the last one for service %.100q. At most %d such instances of a service and %d of a partition are followed; configured ones always are.",
			q.count, q.service, maxStrangersService, maxStrangers)
	}
	t.sayAlways(j, now, fx)
}

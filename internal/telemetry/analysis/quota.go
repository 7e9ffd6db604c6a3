package analysis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// Any producer may write reports about instances that are not configured. Quotas limit these instances, so that they
// cannot take the memory of configured instances, whose number the configuration limits.
const (
	maxUnconfigured        = 20_000 // unconfigured instances of one task
	maxUnconfiguredService = 1000   // unconfigured instances of one service
	maxStrangerAlerts      = 500    // active alerts of a task from which on such instances raise no further alerts
	quotaHolds             = 10 * time.Second
)

// Instances are the configured instances by service.
type Instances struct {
	Names map[string]map[string]bool
	// Found is the largest number of instances that the sources of a service may find. The configuration does not name them.
	Found map[string]int
	// Limits are the requests in flight that each proxy may have at an instance of a service (concurrency.perInstance).
	Limits map[string]int
}

// Has reports whether an instance is configured.
func (k Instances) Has(service, instance string) bool { return k.Names[service][instance] }

// full reports whether a service has as many instances without a name in the configuration as it may. s is nil if it has no
// instance yet. Those of a service with sources do not count in the limit of the task: reports about other services cannot
// displace them.
func (t *Task) full(id string, s *service) bool {
	have := 0
	if s != nil {
		have = s.unconfigured
	}
	if found := t.configured.Found[id]; found > 0 {
		return have >= max(found, maxUnconfiguredService)
	}
	return have >= maxUnconfiguredService || t.unconfigured >= maxUnconfigured
}

// countUnconfigured counts instances of a service that the configuration neither names nor finds.
func (t *Task) countUnconfigured(s *service, n int) {
	s.unconfigured += n
	if t.configured.Found[s.id] == 0 {
		t.unconfigured += n
	}
}

// quota records the latest refusal by a quota.
type quota struct {
	at      time.Time
	service string
	count   uint64
}

// SetConfigured sets the configured instances.
func (t *Task) SetConfigured(k Instances) {
	t.configured, t.unconfigured = k, 0
	for _, s := range t.services {
		s.unconfigured = 0
		for _, i := range s.instances {
			if i.unconfigured = !k.Has(s.id, i.id); i.unconfigured {
				t.countUnconfigured(s, 1)
			}
		}
	}
}

// instance returns the state of an instance and creates it if needed; nil if there are too many unconfigured instances.
func (t *Task) instance(serviceID, instanceID string, now time.Time) *instance {
	s := t.services[serviceID]
	var i *instance
	if s != nil {
		i = s.instances[instanceID]
	}
	if i == nil {
		unconfigured := !t.configured.Has(serviceID, instanceID)
		if unconfigured && t.full(serviceID, s) {
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
		if i.unconfigured = unconfigured; unconfigured {
			t.countUnconfigured(s, 1)
		}
	}
	if now.After(i.touched) {
		i.touched = now
	}
	return i
}

// drop removes an instance.
func (t *Task) drop(s *service, i *instance) {
	delete(s.instances, i.id)
	if i.unconfigured {
		t.countUnconfigured(s, -1)
	}
}

// judgeQuota raises an alert while a quota refuses reports. Its labels do not name the service, because unknown
// producers choose that name.
func (t *Task) judgeQuota(now time.Time, fx *Effects) {
	j := rule.Judgement{Rule: rule.TelemetryQuota, Verdict: rule.Good, Labels: map[string]string{"partition": strconv.Itoa(int(t.cfg.Partition))}}
	if q := t.quota; q.count > 0 && now.Sub(q.at) <= quotaHolds {
		j.Verdict, j.Value = rule.Bad, event.Some(float64(q.count))
		j.Summary = "reports about too many instances that are not configured"
		j.Description = fmt.Sprintf("%d reports were refused so far, the last one for service %.100q. At most %d such instances of a service and %d of a partition are followed; configured ones always are.",
			q.count, q.service, maxUnconfiguredService, maxUnconfigured)
	}
	t.sayAlways(j, now, fx)
}

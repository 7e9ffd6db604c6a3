package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
	"github.com/smartlb/smartlb/internal/telemetry/score"
)

const (
	failingErrors   = 3                // errors in 30 s below which the error share does not count as failing: an ejected instance gets few requests
	failingRare     = 2                // failures in a row that suffice if requests are rare
	failingSpan     = 5 * time.Second  // time without a success after which requests count as rare
	failingWeight   = 10               // least number of failed requests that a failing instance counts for, so that its score shows the failure
	failingRate     = 0.5              // failed share from which an instance is failing
	recoveredRate   = 0.1              // failed share up to which it has recovered
	recoveredWith   = 5                // requests in 30 s needed for a recovery
	staleAfter      = 30 * time.Second // time without a report from an instance that reports about itself, or stalePeriods of its periods
	stalePeriods    = 3
	maxNodeStatus   = 1 << 20          // bytes; a usual status has a few thousand
	maxNodeAhead    = time.Minute      // clocks of nodes differ by less
	nodeSilentAfter = 15 * time.Second // three missing status messages
)

// Restore reads one message of the alerts topic, before GoLive. It ignores alerts of other partitions. What a node reports
// about itself belongs to partition 0, also if it names a service.
func (t *Task) Restore(a event.Alert) {
	_, ofNode := a.Labels["node"]
	if service, ok := a.Labels["service"]; ok && !ofNode {
		if !t.mine(service) {
			return
		}
	} else if of, ok := a.Labels["partition"]; ok {
		if of != strconv.Itoa(int(t.cfg.Partition)) {
			return
		}
	} else if t.cfg.Partition != 0 {
		return
	}
	t.alerts.Restore(a)
}

// Active returns the active alerts.
func (t *Task) Active() []event.Alert { return t.alerts.Active() }

// judge evaluates the rules that concern one instance.
func (t *Task) judge(v *view, now time.Time, fx *Effects) {
	if t.replaying {
		return
	}
	labels := map[string]string{"service": v.i.service.id, "instance": v.i.id}
	name := v.i.service.id + "/" + v.i.id
	for _, j := range [...]rule.Judgement{down(v, name), failing(v, name), stale(v, name, now)} {
		j.Labels = labels
		if v.i.unconfigured {
			t.say(j, now, fx)
		} else {
			t.sayAlways(j, now, fx)
		}
	}
}

// say evaluates a judgement whose labels any producer may have chosen. At maxStrangerAlerts active alerts it starts no
// further alert.
func (t *Task) say(j rule.Judgement, now time.Time, fx *Effects) {
	if j.Verdict == rule.Bad && t.alerts.Len() >= maxStrangerAlerts && !t.alerts.Has(j) {
		t.dropped["too-many-alerts"]++
		return
	}
	t.sayAlways(j, now, fx)
}

func (t *Task) sayAlways(j rule.Judgement, now time.Time, fx *Effects) {
	if a, changed := t.alerts.Judge(j, now); changed {
		t.emit(event.TopicAlerts, a.Fingerprint, a, fx)
	}
}

func down(v *view, name string) rule.Judgement {
	j := rule.Judgement{Rule: rule.InstanceDown}
	switch {
	case v.checks.status == event.StatusUnhealthy:
		j.Verdict = rule.Bad
		j.Value = event.Some(float64(v.checks.unhealthy))
		j.Summary = name + " is down"
		j.Description = fmt.Sprintf("%d of %d reporters of its health say UNHEALTHY.", v.checks.unhealthy, v.checks.senders)
	case v.checks.known:
		j.Verdict = rule.Good
	}
	return j
}

func failing(v *view, name string) rule.Judgement {
	j := rule.Judgement{Rule: rule.FastFailing}
	n, e, run := v.recent.Requests, v.recent.Errors, v.i.health.FailedInARow()
	switch {
	case v.failing:
		j.Verdict, j.Value = rule.Bad, event.Some(1)
		j.Summary = name + " fails every request"
		j.Description = fmt.Sprintf("Its last %.0f requests failed.", run)
	case !v.recent.HasError || n <= 0:
	case e >= failingErrors && e/n >= failingRate:
		j.Verdict = rule.Bad
		j.Value = event.Some(round(min(e/n, 1)))
		j.Summary = fmt.Sprintf("%s fails %.0f %% of its requests", name, 100*e/n)
		j.Description = fmt.Sprintf("%.0f of %.0f requests failed in the last 30 s.", e, n)
	case n >= recoveredWith && e/n <= recoveredRate:
		j.Verdict = rule.Good
	}
	return j
}

// stale judges an instance that used to report about itself. Missing reports are bad only while proxies still send
// requests to it, since an idle or stopped instance has nothing to report.
func stale(v *view, name string, now time.Time) rule.Judgement {
	j := rule.Judgement{Rule: rule.TelemetryStale}
	s := v.i.series[event.ReporterSelf]
	if s == nil {
		return j
	}
	p, regular := s.Longest()
	if !regular {
		return j
	}
	silent, allowed := s.silent(now), max(stalePeriods*p, staleAfter)
	switch {
	case silent <= allowed:
		j.Verdict = rule.Good
	case v.i.servesThroughProxies(now):
		j.Verdict = rule.Bad
		j.Value = event.Some(silent.Round(time.Second).Seconds())
		j.Summary = name + " stopped sending reports"
		j.Description = fmt.Sprintf("Its last report is %s old; it sent one at least each %s, and proxies still see requests there.",
			silent.Round(time.Second), p.Round(time.Millisecond))
	}
	return j
}

// throughProxies reports whether a proxy has reported about the instance recently.
func (i *instance) throughProxies(now time.Time) bool {
	for reporter, s := range i.series {
		if isProxy(reporter) && s.silent(now) <= score.Window {
			return true
		}
	}
	return false
}

func (i *instance) servesThroughProxies(now time.Time) bool {
	for reporter, s := range i.series {
		r, ok := s.Newest()
		if ok && isProxy(reporter) && s.silent(now) <= score.Window && r.Metrics.RPS.Value > 0 {
			return true
		}
	}
	return false
}

// node is the last status of a node.
type node struct {
	event.NodeStatus
	heard time.Time
}

// applyNode handles a node's status. Only the task of partition 0 does so.
func (t *Task) applyNode(in Input) {
	if t.cfg.Partition != 0 {
		return
	}
	s, err := event.DecodeNodeStatus(in.Value)
	if err != nil || len(in.Value) > maxNodeStatus {
		t.dropped["bad-node-status"]++
		return
	}
	if n := t.nodes[s.Node]; n != nil && n.Timestamp.After(s.Timestamp) {
		return
	}
	if s.Timestamp.Sub(in.Now) > maxNodeAhead {
		t.dropped["node-status-ahead"]++ // all later statuses would look older
		return
	}
	const (
		maxNodes = 10_000
		maxText  = 256
	)
	was := t.nodes[s.Node]
	if len(t.nodes) >= maxNodes && was == nil {
		t.dropped["too-many-nodes"]++
		return
	}
	n := &node{heard: in.Now, NodeStatus: event.NodeStatus{ // the fields that the rules read
		Timestamp: s.Timestamp, Node: s.Node, LostLog: s.LostLog, Shortage: short(s.Shortage, maxText), RefusedFile: short(s.RefusedFile, maxText),
		FailedUpgrade: short(s.FailedUpgrade, maxText),
		PanicServices: few(s.PanicServices), CrowdedServices: few(s.CrowdedServices), StaleServices: few(s.StaleServices),
		RecreatedTopics: few(s.RecreatedTopics), UnsignedTopics: few(s.UnsignedTopics), FailedReceivers: few(s.FailedReceivers), Certificates: fewCertificates(s.Certificates),
	}}
	bytes := t.nodeBytes + n.size() - was.size()
	if bytes > maxNodeBytes && n.size() > was.size() {
		t.dropped["too-many-nodes"]++
		return
	}
	t.nodes[s.Node], t.nodeBytes = n, bytes
}

// maxNodeBytes limits the names of all nodes: 10,000 nodes report a few each, and any producer can write more.
const maxNodeBytes = 32 << 20

// size returns the bytes of the node's names.
func (n *node) size() int {
	if n == nil {
		return 0
	}
	size := len(n.Node) + len(n.Shortage) + len(n.RefusedFile) + len(n.FailedUpgrade)
	for _, names := range [...][]string{n.PanicServices, n.CrowdedServices, n.StaleServices, n.RecreatedTopics, n.UnsignedTopics, n.FailedReceivers} {
		for _, name := range names {
			size += len(name)
		}
	}
	for _, c := range n.Certificates {
		size += len(c.Listener) + len(c.Service) + len(c.File) + len(c.Refused)
	}
	return size
}

// short returns a copy of the first bytes of a text. The copy releases the memory of a longer text.
func short(s string, most int) string {
	return strings.ToValidUTF8(strings.Clone(s[:min(len(s), most)]), "")
}

// few limits a list to the names that become labels of alerts.
func few(names []string) []string {
	const most, longest = 100, 256
	names = slices.DeleteFunc(names, func(n string) bool { return len(n) > longest })
	return slices.Clone(names[:min(len(names), most)]) // a copy releases the memory of the longer list
}

// judgeNodes evaluates the rules that nodes report, such as panic of a service and recreated topics. A node without a recent
// status changes nothing, so its alerts stay.
func (t *Task) judgeNodes(now time.Time, fx *Effects) {
	if t.cfg.Partition != 0 {
		return
	}
	topics := map[string][]string{} // nodes by topic that they reported as recreated
	unsigned := map[string][]string{}
	receivers := map[string][]string{} // nodes by receiver to which they cannot deliver alerts
	heard := false
	for _, id := range slices.Sorted(maps.Keys(t.nodes)) {
		n := t.nodes[id]
		if now.Sub(n.heard) > nodeSilentAfter {
			if now.Sub(n.heard) > Horizon {
				delete(t.nodes, id)
				t.nodeBytes -= n.size()
			}
			continue
		}
		heard = true
		t.judgeServices(rule.Panic, n, n.PanicServices, "too few usable instances of",
			"Proxy "+n.Node+" sends requests to all instances that do not drain, healthy or not.", now, fx)
		t.judgeServices(rule.DiscoveryStale, n, n.StaleServices, "the list of instances is out of date of",
			"A source of instances has given proxy "+n.Node+" no good answer for too long. The last known instances stay in use. smartlb discovery shows the error.", now, fx)
		t.judgeShortage(n, now, fx)
		t.judgeCertificates(n, now, fx)
		t.judgeFile(n, now, fx)
		t.judgeUpgrade(n, now, fx)
		t.judgeServices(rule.MassDrain, n, n.CrowdedServices, "health-status messages want to take out many instances of",
			"Without a signature they take out no more than may be ejected, and never the last. smartlb explain INSTANCE names the senders.", now, fx)
		for _, topic := range n.RecreatedTopics {
			topics[topic] = append(topics[topic], id)
		}
		for _, topic := range n.UnsignedTopics {
			unsigned[topic] = append(unsigned[topic], id)
		}
		for _, receiver := range n.FailedReceivers {
			receivers[receiver] = append(receivers[receiver], id)
		}
		if n.LostLog && !slices.Contains(n.RecreatedTopics, event.TopicConfigUpdates) {
			topics[event.TopicConfigUpdates] = append(topics[event.TopicConfigUpdates], id)
		}
	}
	if heard {
		t.judgeNamed(rule.TopicRecreated, "topic", topics, "topic %s was recreated or lost data",
			"Seen by %v. What was in it before is gone; configuration stays the last good one until adopted.", now, fx)
		t.judgeNamed(rule.Unsigned, "topic", unsigned, "records of %s are not signed by a known key",
			"Refused by %v. Either a client without the signing key writes to the topic, or a node or command has no key: see smartlb config history.", now, fx)
		t.judgeNamed(rule.ReceiverFailing, "receiver", receivers, "alerts do not reach the receiver %s",
			"Reported by %v. The node retries, and sends the state of that time. smartlb alerts receivers shows the error.", now, fx)
	}
}

// judgeNamed fires a rule for each name that nodes report, such as a topic, and resolves it for names that no node reports
// any more. The name is the label of the alert.
func (t *Task) judgeNamed(r rule.Rule, label string, named map[string][]string, summary, description string, now time.Time, fx *Effects) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		t.say(rule.Judgement{
			Rule: r, Verdict: rule.Bad, Value: event.Some(float64(len(named[name]))),
			Labels:  map[string]string{label: name},
			Summary: fmt.Sprintf(summary, name), Description: fmt.Sprintf(description, named[name]),
		}, now, fx)
	}
	for _, a := range t.alerts.Active() {
		if a.RuleID == r.ID && named[a.Labels[label]] == nil {
			t.say(rule.Judgement{Rule: r, Verdict: rule.Good, Labels: a.Labels}, now, fx)
		}
	}
}

// judgeServices fires a rule for each service that a node names, and resolves it for services that the node no longer
// names.
func (t *Task) judgeServices(r rule.Rule, n *node, named []string, summary, description string, now time.Time, fx *Effects) {
	for _, service := range named {
		t.say(rule.Judgement{
			Rule: r, Verdict: rule.Bad, Value: event.Some(1),
			Labels:  map[string]string{"service": service, "node": n.Node},
			Summary: summary + " " + service, Description: description,
		}, now, fx)
	}
	for _, a := range t.alerts.Active() {
		if a.RuleID == r.ID && a.Labels["node"] == n.Node && !slices.Contains(named, a.Labels["service"]) {
			t.say(rule.Judgement{Rule: r, Verdict: rule.Good, Labels: a.Labels}, now, fx)
		}
	}
}

// judgeShortage alerts that a proxy lacks a resource of its own; its instances are not blamed.
func (t *Task) judgeShortage(n *node, now time.Time, fx *Effects) {
	t.judgeNode(rule.NodeShortage, n, n.Shortage != "", "proxy "+n.Node+" lacks "+n.Shortage,
		"It answers 503 where it can make no connection to an instance, and checks of instances are not possible. Raise the limit or lower the number of connections.", now, fx)
}

// judgeFile alerts that a node refused its changed configuration file.
func (t *Task) judgeFile(n *node, now time.Time, fx *Effects) {
	t.judgeNode(rule.FileRefused, n, n.RefusedFile != "", "node "+n.Node+" refused its changed configuration file",
		n.RefusedFile+". The node serves the configuration before. Its log has the reason; smartlb config validate FILE shows every mistake.", now, fx)
}

// judgeUpgrade alerts that the new binary of a node did not become ready.
func (t *Task) judgeUpgrade(n *node, now time.Time, fx *Effects) {
	t.judgeNode(rule.UpgradeFailed, n, n.FailedUpgrade != "", "the upgrade of node "+n.Node+" failed",
		n.FailedUpgrade+". The old process continues to serve. Its log has the last lines of the new process. The alert ends with the next upgrade or restart.", now, fx)
}

// judgeNode fires a rule that has one alert for each node, or resolves it.
func (t *Task) judgeNode(r rule.Rule, n *node, bad bool, summary, description string, now time.Time, fx *Effects) {
	j := rule.Judgement{Rule: r, Verdict: rule.Good, Labels: map[string]string{"node": n.Node}}
	if bad {
		j.Verdict, j.Value, j.Summary, j.Description = rule.Bad, event.Some(1), summary, description
	}
	t.say(j, now, fx)
}

package app

import (
	"sync"
	"time"

	loads "github.com/smartlb/smartlb/internal/telemetry/collector"
)

// Families of the configuration and of Kafka.
var (
	familyRevision   = gauge("smartlb_config_revision_info", "Always 1; the label names the revision that the node serves.", "revision")
	familyReloadGood = gauge("smartlb_config_last_reload_successful", "1 if the latest configuration that the node received is in effect, 0 while the node refuses it.")
	familyReloadTime = gauge("smartlb_config_last_reload_success_timestamp_seconds", "When the node last applied a configuration.")
	familyReloads    = counter("smartlb_config_reloads_total", "Configurations that the node applied or refused.", "result")
	familyLog        = gauge("smartlb_config_log_connected", "1 while the node can read config-updates. Only nodes that follow the log have this series.")
	familyBadFile    = gauge("smartlb_config_file_refused", "1 while the changed configuration file is refused and the configuration before it serves.")

	familyFactsLag       = gauge("smartlb_facts_lag_records", "Records of the topic that this proxy has not processed yet, by the latest answer of the broker.", "topic")
	familyFactsTime      = gauge("smartlb_facts_latest_timestamp_seconds", "Timestamp of the latest record of the topic that this proxy processed.", "topic")
	familyFactsConnected = gauge("smartlb_facts_connected", "1 while this proxy can read facts from Kafka.")
	familyCollected      = counter("smartlb_collector_questions_total", "Questions of this node to instances about their load, by kind (scrape, agent-check, orca-stream, pod-metrics) and result. published: the answer is a message or no news; unreachable: no answer in time; invalid: the answer cannot be used; not-queued: the queue for Kafka is full. Only nodes with the role collector have this series.", "kind", "result")
	familyCollecting     = gauge("smartlb_collector_instances", "Instances that this node asks for their load, by kind. Only nodes with the role collector have this series.", "kind")
	familyOTLPRequests   = counter("smartlb_otlp_requests_total", "Requests with metrics of instances by OTLP, by result. taken: the metrics were read; malformed: no request of OTLP; too-large: above 4 MiB or too many values; busy: too many at once; refused: the token is missing or wrong. Only nodes with the receiver have this series.", "result")
	familyOTLPReports    = counter("smartlb_otlp_reports_total", "Metrics of one instance in one request by OTLP, by result. published: they are a message; empty: none of the named metrics is there, or no rate is known yet; unknown: no service uses them, or it has no such instance; old: more than a minute old or in the future, or growth from before the latest 16 requests; late: a newer request came first, and only growth of counters counts; limited: more than one per second; invalid: a number is too large; not-queued: the queue for Kafka is full. Only nodes with the receiver have this series.", "result")
	familyInputLag       = gauge("smartlb_analyzer_lag_records", "Records of an input topic that this analyzer has not processed yet, in its partitions, by the latest answer of the broker.", "topic")
	familyDelivered      = counter("smartlb_kafka_delivered_total", "Records delivered to Kafka.", "topic")
	familyBuffered       = gauge("smartlb_kafka_buffered_records", "Records that wait to be delivered to Kafka.")
	familySkipped        = counter("smartlb_records_skipped_total", "Records of a topic that could not be processed and were skipped.", "topic")
	familyAlertSender    = gauge("smartlb_alert_sender", "1 on the node that sends alerts to receivers, 0 on nodes that wait to take its place.")
	familyAlertMessages  = counter("smartlb_alert_messages_total", "Messages about alerts, by receiver and result. Each failed attempt counts.", "receiver", "result")
	familyAlertFailing   = gauge("smartlb_alert_receiver_failing", "1 while the latest attempt to send a message to a receiver has failed. Only the node that sends has this series.", "receiver")
	familyGroupLag       = gauge("smartlb_group_lag", "Lag in records of a consumer group that has a threshold.", "group")
	familyGroupAlarm     = gauge("smartlb_group_lag_alarm", "1 while the lag is above the threshold set in the console.", "group")
)

// reloads counts what became of configurations. The zero value is ready to use. Its methods are safe for concurrent use.
type reloads struct {
	mu               sync.Mutex
	applied, refused uint64
	last             time.Time // of the latest applied one
}

// note counts a configuration; err is why it was refused.
func (r *reloads) note(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused++
		return
	}
	r.applied++
	r.last = now
}

func (r *reloads) counts() (applied, refused uint64, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied, r.refused, r.last
}

// configuration sends the series of the configuration.
func (c collector) configuration(s series) {
	if c.a.o.Signals.Reload != nil {
		s.flag(familyBadFile, c.a.refused.Load() != nil)
	}
	if c.a.control == nil {
		return
	}
	st := c.a.control.Status()
	if st.Revision != "" {
		s.put(familyRevision, 1, st.Revision)
	}
	s.flag(familyReloadGood, st.RefusedRevision == "" && c.a.refused.Load() == nil)
	applied, refused, last := c.a.reloads.counts()
	if !last.IsZero() {
		s.put(familyReloadTime, float64(last.UnixMilli())/1e3)
	}
	s.count(familyReloads, applied, "applied")
	s.count(familyReloads, refused, "refused")
	if c.a.o.Kafka && !c.a.o.FileOnly {
		s.flag(familyLog, st.Connected)
	}
}

// alerts sends the series of the receivers of alerts.
func (c collector) alerts(s series) {
	if c.a.notifier == nil {
		return
	}
	st := c.a.notifier.Status()
	s.flag(familyAlertSender, st.Sender)
	for _, r := range st.Receivers {
		s.count(familyAlertMessages, r.Delivered, r.Name, "delivered")
		s.count(familyAlertMessages, r.Failed, r.Name, "failed")
		if st.Sender {
			s.flag(familyAlertFailing, !r.FailingSince.IsZero(), r.Name)
		}
	}
}

// kafka sends the series of what the node writes to Kafka and reads from it.
func (c collector) kafka(s series) {
	a := c.a
	if producers := a.producers(); len(producers) > 0 {
		buffered := int64(0)
		for _, p := range producers {
			stats := p.Stats()
			for topic, t := range stats.Topics {
				s.count(familyDelivered, t.Delivered, topic)
			}
			buffered += stats.BufferedRecords
		}
		s.put(familyBuffered, float64(buffered))
	}
	for topic, n := range a.kafka.Skips.Counts() {
		s.count(familySkipped, n, topic)
	}
	if a.browser != nil {
		for _, w := range a.browser.Watched() {
			s.put(familyGroupLag, float64(w.Lag), w.Group)
			s.flag(familyGroupAlarm, w.Alarm, w.Group)
		}
	}
	if a.collector != nil {
		collected := a.collector.Stats()
		for k := range loads.NumKinds {
			kind := loads.Kind(k).String()
			s.put(familyCollecting, float64(collected.Asked[k]), kind)
			for r, n := range collected.Results[k] {
				s.count(familyCollected, n, kind, loads.Result(r).String())
			}
		}
	}
	if a.receiver != nil {
		received := a.receiver.Stats()
		for r, n := range received.Requests {
			s.count(familyOTLPRequests, n, loads.RequestResult(r).String())
		}
		for r, n := range received.Reports {
			s.count(familyOTLPReports, n, loads.ReportResult(r).String())
		}
	}
	if a.analyzer != nil {
		for topic, p := range a.analyzer.Progress() {
			s.put(familyInputLag, float64(p.Lag), topic)
		}
	}
	c.alerts(s)
	if a.data == nil {
		return
	}
	facts := a.data.facts.Load()
	if facts == nil {
		return
	}
	s.flag(familyFactsConnected, facts.Connected())
	for topic, p := range facts.Progress() {
		s.put(familyFactsLag, float64(p.Lag), topic)
		if !p.Latest.IsZero() {
			s.put(familyFactsTime, float64(p.Latest.UnixMilli())/1e3, topic)
		}
	}
}

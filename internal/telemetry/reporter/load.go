package reporter

import (
	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

var reporterORCA = []kafka.Header{{Key: event.HeaderReporter, Value: []byte(event.ReporterORCA)}}

// reportLoad publishes the latest report that the instance sent with a response, if there is one since the last call.
func (r *Reporter) reportLoad(l *upstream.Live, last *counted, tags map[string]string) {
	report, at := l.Load.Latest()
	if at == last.load {
		return
	}
	last.load = at
	m := event.ServiceMetrics{Timestamp: r.wall(at), ServiceID: l.Service, InstanceID: l.Instance, Metrics: MetricsOf(report), Tags: tags}
	if m.Metrics != (event.Metrics{}) {
		r.send(event.TopicServiceMetrics, l.Service, m.AppendJSON(nil), reporterORCA, &r.stats.reports)
	}
}

// MetricsOf converts a report; the result may be empty. Shares above 1 count as 1, as in the messages of instances.
func MetricsOf(o orca.Report) (m event.Metrics) {
	if o.Has&orca.CPU != 0 {
		m.CPUUsage = event.Some(round(min(o.CPU, 1), 1e4))
	}
	if o.Has&orca.Memory != 0 {
		m.MemoryUsage = event.Some(round(min(o.Memory, 1), 1e4))
	}
	if u, ok := o.Utilization(); ok {
		m.Utilization = event.Some(round(u, 1e4))
	}
	if o.Has&orca.RPS != 0 {
		m.RPS = event.Some(round(o.RPS, 1e3))
	}
	if o.Has&(orca.RPS|orca.EPS) == orca.RPS|orca.EPS && o.RPS > 0 {
		m.ErrorRate = event.Some(round(min(o.EPS/o.RPS, 1), 1e6))
	}
	return m
}

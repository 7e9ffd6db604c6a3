package reporter

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// However many responses carry a report, one message a round goes out, with the latest report, as one of the instance.
func TestReportsInResponsesArePublishedOncePerRound(t *testing.T) {
	w := newWorld(0)
	l := upstream.NewLive("s", "i", "a:1", 1, w.now)
	for _, cpu := range []float64{.1, .2, 1.7} {
		l.Load.Take(orca.Report{CPU: cpu, RPS: 50, EPS: 5, Has: orca.CPU | orca.RPS | orca.EPS}, w.now)
	}
	l.Load.Take(orca.Report{EPS: 3, Has: orca.EPS}, w.now) // an error rate needs a request rate
	l.Load.Take(orca.Report{CPU: 1.5, Application: .25, RPS: 50, EPS: 5, Has: orca.CPU | orca.Application | orca.RPS | orca.EPS}, w.now)
	at := w.now
	w.now += int64(time.Second)
	w.report(lives{l})
	w.now += int64(time.Second)
	w.report(lives{l})
	records := w.log.of(event.TopicServiceMetrics)
	if len(records) != 1 {
		t.Fatalf("%d messages", len(records))
	}
	if reporter, _ := records[0].Header(event.HeaderReporter); string(reporter) != "collector/orca" || string(records[0].Key) != "s" {
		t.Errorf("reporter %q, key %q", reporter, records[0].Key)
	}
	want := event.ServiceMetrics{
		Timestamp: w.wall(at), ServiceID: "s", InstanceID: "i", Tags: map[string]string{"region": "x"},
		Metrics: event.Metrics{RPS: event.Some(50), ErrorRate: event.Some(.1), CPUUsage: event.Some(1), Utilization: event.Some(.25)},
	}
	if diff := cmp.Diff(want, metrics(t, records)[0]); diff != "" {
		t.Error(diff)
	}
	l.Load.Take(orca.Report{EPS: 3, Has: orca.EPS}, w.now)
	w.now += int64(time.Second)
	if w.report(lives{l}); len(w.log.of(event.TopicServiceMetrics)) != 1 {
		t.Error("a report without any number of a message was published")
	}
}

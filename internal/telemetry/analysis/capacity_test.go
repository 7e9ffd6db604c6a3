package analysis

import (
	"math"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// estimates returns the latest estimate of each instance that was written.
func (b *bench) estimates() map[string]event.CapacityEstimate {
	out := map[string]event.CapacityEstimate{}
	for _, h := range decodeAll(b.t, b.all, event.TopicHealthScores, event.DecodeHealthScore) {
		out[h.InstanceID] = h.Estimate
	}
	return out
}

func TestScoresTellTheCapacityOfInstances(t *testing.T) {
	b := newBench(t)
	b.task.SetConfigured(Instances{Limits: map[string]int{"user-service": 10}})
	for second := range 300 {
		rate := 200 + 100*math.Sin(float64(second)/40) // of both proxies together
		for _, proxy := range []string{"proxy/a", "proxy/b"} {
			b.metrics(proxy, "busy", event.Metrics{RPS: event.Some(rate / 2), ErrorRate: event.Some(0)})
			b.metrics(proxy, "silent", event.Metrics{RPS: event.Some(rate / 2), ErrorRate: event.Some(0)})
			b.metrics(proxy, "failing", event.Metrics{RPS: event.Some(rate / 2), ErrorRate: event.Some(.4)})
		}
		b.metrics(event.ReporterSelf, "busy", event.Metrics{RPS: event.Some(rate / 3), Utilization: event.Some(.1 + rate/500)})
		b.tick()
	}
	got := b.estimates()
	if e := got["busy"]; math.Abs(e.RPS.Value-450) > 10 || e.Bound != "utilization" || e.Confidence != "high" {
		t.Errorf("an instance that reports its utilization: got %+v, want 450 requests/s", e)
	}
	if e := got["silent"]; e.Bound != "seen" || e.Confidence != "low" || e.RPS.Value < 280 || e.RPS.Value > 300 {
		t.Errorf("an instance without utilization: got %+v, want the highest rate as a lower bound", e)
	}
	if e := got["failing"]; e.RPS.Set || e.Confidence != "none" || e.Reason == "" {
		t.Errorf("an instance that fails: got %+v, want none", e)
	}
}

func TestAnEstimateIsMadeAgainFromAReplay(t *testing.T) {
	b := newBench(t)
	b.task = New(b.task.cfg) // in replay
	report := func() {
		rate := 100 + float64(b.now.Unix()%60)
		b.metrics("proxy/a", "i", event.Metrics{RPS: event.Some(rate)})
		b.metrics(event.ReporterSelf, "i", event.Metrics{CPUUsage: event.Some(rate / 400)})
		b.now = b.now.Add(time.Second)
		b.task.Punctuate(b.now, &b.fx)
	}
	for range 175 {
		report()
		for _, r := range b.fx.Records {
			t.Fatalf("written in a replay: %s", r.Value)
		}
	}
	b.task.GoLive(0)
	for range 3 {
		report()
	}
	scores := decodeAll(t, b.fx.Records, event.TopicHealthScores, event.DecodeHealthScore)
	if len(scores) == 0 {
		t.Fatal("no score after the replay")
	}
	if e := scores[len(scores)-1].Estimate; math.Abs(e.RPS.Value-400) > 12 || e.Bound != "cpu" {
		t.Errorf("got %+v, want 400 requests/s by CPU", e)
	}
}

func TestTheRateOfAProxyThatReportsRarely(t *testing.T) {
	b := newBench(t)
	for second := range 120 {
		if second%12 == 0 {
			b.metrics("proxy/a", "i", event.Metrics{RPS: event.Some(100)})
		}
		if second%3 == 0 {
			b.metrics("proxy/b", "i", event.Metrics{RPS: event.Some(50)})
		}
		b.tick()
	}
	i := b.task.services["user-service"].instances["i"]
	for from := epoch.Add(30 * time.Second); from.Before(epoch.Add(100 * time.Second)); from = from.Add(10 * time.Second) {
		if rate, proxies := i.rateIn(from, from.Add(10*time.Second)); math.Abs(rate-150) > .1 || proxies != 2 {
			t.Errorf("%v: got %v from %d proxies, want 150 from 2", from, rate, proxies)
		}
	}
}

package analysis

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

// logged is one report as the log has it.
type logged struct {
	service, instance, reporter string
	at, appended                time.Time
	rps, failed                 float64
	latency                     float64
}

func (l logged) input(now time.Time) Input {
	k := window.NewSketch()
	k.AddCount(l.latency, 10)
	return Input{
		Topic: event.TopicServiceMetrics, Reporter: l.reporter, Latency: k.Encode(nil), Appended: l.appended, Now: now,
		Value: event.ServiceMetrics{Timestamp: l.at, ServiceID: l.service, InstanceID: l.instance, Metrics: event.Metrics{
			RPS: event.Some(l.rps), ErrorRate: event.Some(l.failed), P95Latency: event.Some(l.latency),
		}}.AppendJSON(nil),
	}
}

// total is what a window comes to.
type total struct {
	reports          int
	requests, errors float64
	latencies        float64
}

func (t total) near(o total) bool {
	near := func(a, b float64) bool { // records round to a thousandth, ratios and other small numbers to a ten-thousandth
		unit := 1e-3
		if math.Abs(b) < .9 {
			unit = 1e-4
		}
		return math.Abs(a-b) <= unit+1e-6*math.Abs(b)
	}
	return t.reports == o.reports && near(t.requests, o.requests) && near(t.errors, o.errors) && near(t.latencies, o.latencies)
}

// model recomputes all windows from a log in the plainest way: sort each reporter's reports by time, multiply each
// rate by the gap to the one before, add up the proxies or else the instance's own. It has nothing in common with
// the code it checks.
func model(log []logged) map[string]total {
	type key struct{ service, instance, reporter string }
	byReporter := map[key][]logged{}
	for _, l := range log {
		k := key{l.service, l.instance, l.reporter}
		byReporter[k] = append(byReporter[k], l)
	}
	type cell struct {
		name  string
		proxy bool
	}
	cells := map[cell]total{}
	for k, reports := range byReporter {
		slices.SortStableFunc(reports, func(a, b logged) int { return a.at.Compare(b.at) })
		reports = slices.CompactFunc(reports, func(a, b logged) bool { return a.at.Equal(b.at) })
		for n, l := range reports {
			gap := 1.0
			if n > 0 {
				gap = math.Min(l.at.Sub(reports[n-1].at).Seconds(), 60)
			}
			for _, sec := range []int64{10, 60} {
				start := l.at.Unix() - l.at.Unix()%sec
				c := cell{fmt.Sprintf("%s/%s %ds %d", k.service, k.instance, sec, start), k.reporter != ""}
				v := cells[c]
				v.reports++
				v.requests += l.rps * gap
				v.errors += l.rps * gap * l.failed
				v.latencies += 10
				cells[c] = v
			}
		}
	}
	out := map[string]total{}
	for c, v := range cells {
		other := cells[cell{c.name, !c.proxy}]
		if !c.proxy && other.reports > 0 {
			continue
		}
		v.reports += other.reports
		out[c.name] = v
	}
	return out
}

// totals returns the last revision of each instance's window and fails where a revision went down.
func totals(t interface{ Fatalf(string, ...any) }, windows []event.MetricsAggregated) map[string]total {
	out := map[string]total{}
	seen := map[string]uint64{}
	for _, w := range windows {
		name := fmt.Sprintf("%s/%s %ds %d", w.ServiceID, w.InstanceID, w.WindowSec, w.WindowStart.Unix())
		if w.Revision <= seen[name] {
			t.Fatalf("%s: revision %d after %d", name, w.Revision, seen[name])
		}
		seen[name] = w.Revision
		if w.InstanceID == event.InstanceAll {
			continue
		}
		out[name] = total{w.Samples, w.Requests.Value, w.Errors.Value, w.Latency.Count.Value}
	}
	return out
}

func compare(t interface{ Fatalf(string, ...any) }, want, got map[string]total) {
	for name, w := range want {
		if g := got[name]; !g.near(w) {
			t.Fatalf("%s: got %+v, want %+v", name, g, w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Fatalf("%s: window of nothing: %+v", name, got[name])
		}
	}
}

// scenario draws reports of two services, in the order in which a log could have them: up to 30 s of disorder, with
// repeated records.
func scenario(t *rapid.T) []logged {
	var log []logged
	proxies := rapid.IntRange(0, 2).Draw(t, "proxies")
	for sec := range rapid.IntRange(20, 150).Draw(t, "seconds") {
		for _, service := range []string{"user-service", "order-service"} {
			for reporter := range proxies + 1 {
				if rapid.IntRange(0, 9).Draw(t, "idle") < 3 {
					continue
				}
				name := ""
				if reporter > 0 {
					name = event.ReporterProxy(fmt.Sprint(reporter))
				}
				at := epoch.Add(time.Duration(sec)*time.Second + time.Duration(rapid.IntRange(0, 999).Draw(t, "ms"))*time.Millisecond)
				delay := 0
				if rapid.IntRange(0, 9).Draw(t, "slow") == 0 {
					delay = rapid.IntRange(0, 30000).Draw(t, "delay")
				}
				log = append(log, logged{
					service: service, instance: "1", reporter: name, at: at, appended: at.Add(time.Duration(delay) * time.Millisecond),
					rps: readable.Number(rapid.Float64Range(0, 100).Draw(t, "rps")), failed: readable.Number(rapid.Float64Range(0, 1).Draw(t, "failed")), latency: 20, // as records say it
				})
				if rapid.IntRange(0, 19).Draw(t, "again") == 0 {
					log = append(log, log[len(log)-1])
				}
			}
		}
	}
	slices.SortStableFunc(log, func(a, b logged) int { return a.appended.Compare(b.appended) })
	return log
}

// feed applies the log in its order, with the clock at each record's arrival, and punctuates each second.
func feed(task *Task, log []logged, clock time.Time, until time.Time) []Record {
	var fx Effects
	replay := task.Replaying()
	for _, l := range log {
		for clock.Before(l.appended) {
			clock = clock.Add(time.Second)
			task.Punctuate(clock, &fx)
		}
		in := l.input(l.appended)
		in.Replay = replay
		task.Apply(in, &fx)
	}
	for clock.Before(until) {
		clock = clock.Add(time.Second)
		task.Punctuate(clock, &fx)
	}
	return fx.Records
}

func TestWindowsAreThoseOfTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenario(rt)
		task := New(Config{Partition: 0, Partitions: 1})
		task.GoLive(0)
		rs := feed(task, log, epoch, epoch.Add(300*time.Second))
		got := decodeAll(t, rs, event.TopicMetricsAggregated, event.DecodeMetricsAggregated)
		compare(rt, model(log), totals(rt, got))
		checkAll(rt, got)
	})
}

// checkAll compares each service's window with the sum of its instances'.
func checkAll(t *rapid.T, windows []event.MetricsAggregated) {
	last := map[string]event.MetricsAggregated{}
	for _, w := range windows {
		last[fmt.Sprintf("%s/%s %d %d", w.ServiceID, w.InstanceID, w.WindowSec, w.WindowStart.Unix())] = w
	}
	for _, w := range last {
		if !w.Final {
			t.Fatalf("%s/%s %v was never final", w.ServiceID, w.InstanceID, w.WindowStart)
		}
		all := last[fmt.Sprintf("%s/%s %d %d", w.ServiceID, event.InstanceAll, w.WindowSec, w.WindowStart.Unix())]
		if math.Abs(all.Requests.Value-w.Requests.Value) > 1e-3+1e-6*w.Requests.Value { // one instance per service, each rounded
			t.Fatalf("%s %v: service has %v requests, its instance %v", w.ServiceID, w.WindowStart, all.Requests, w.Requests)
		}
	}
}

// TestTakeoverChangesNoWindow kills the owner of a partition at any record: another replays the 180 s before its last
// commit and goes on. The last revision of every window is what the model says.
func TestTakeoverChangesNoWindow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenario(rt)
		if len(log) == 0 {
			return
		}
		committed := rapid.IntRange(0, len(log)-1).Draw(rt, "committed")
		crashed := rapid.IntRange(committed, len(log)-1).Draw(rt, "crashed")

		first := New(Config{Partition: 0, Partitions: 1})
		first.GoLive(0)
		until := log[committed].appended
		commit := until.Add(time.Second)
		var fx Effects
		rs := feed(first, log[:committed], epoch, until)
		first.Punctuate(commit, &fx) // then what it wrote is delivered, then the position is committed
		seq := first.Seq()
		rs = append(append(rs, fx.Records...), feed(first, log[committed:crashed], commit, until)...) // written, not committed

		second := New(Config{Partition: 0, Partitions: 1})
		start := slices.IndexFunc(log, func(l logged) bool { return until.Sub(l.appended) <= Horizon })
		if replayed := feed(second, log[max(start, 0):committed], epoch, until); len(replayed) != 0 {
			rt.Fatalf("replay wrote %d records", len(replayed))
		}
		// Input of one topic may come while another is still being replayed.
		early := rapid.IntRange(0, len(log)-committed).Draw(rt, "early")
		fx.Reset()
		live := commit
		for _, l := range log[committed : committed+early] {
			second.Apply(l.input(l.appended), &fx)
			live = l.appended
		}
		second.Punctuate(commit, &fx)
		second.GoLive(max(seq, first.Seq()))
		rs = append(rs, feed(second, log[committed+early:], live, epoch.Add(400*time.Second))...)
		got := decodeAll(t, rs, event.TopicMetricsAggregated, event.DecodeMetricsAggregated)
		compare(rt, model(log), totals(rt, got))
	})
}

func BenchmarkPunctuate(b *testing.B) {
	const instances = 500
	task := New(Config{Partition: 0, Partitions: 1})
	task.GoLive(0)
	var fx Effects
	now := epoch
	second := func() {
		now = now.Add(time.Second)
		for i := range instances {
			for _, reporter := range []string{"", "proxy/1"} {
				l := logged{service: fmt.Sprint("s", i/10), instance: fmt.Sprint(i), reporter: reporter, at: now, appended: now, rps: 100, failed: .01, latency: 20}
				task.Apply(l.input(now), &fx)
			}
		}
		task.Punctuate(now, &fx)
		fx.Reset()
	}
	for range 130 {
		second()
	}
	b.ReportAllocs()
	for b.Loop() {
		second()
	}
}

// TestLaggingReaderLosesNoWindow reads ten minutes of log between two ticks, as a reader that catches up does.
func TestLaggingReaderLosesNoWindow(t *testing.T) {
	var log []logged
	for sec := range 600 {
		at := epoch.Add(time.Duration(sec) * time.Second)
		log = append(log, logged{service: "s", instance: "1", reporter: "proxy/1", at: at, appended: at, rps: float64(sec % 7), failed: 0.5, latency: 20})
	}
	task := New(Config{Partition: 0, Partitions: 1})
	task.GoLive(0)
	now := epoch.Add(time.Hour)
	var fx Effects
	for n, l := range log {
		task.Apply(l.input(now), &fx)
		if n == 250 {
			task.Punctuate(now, &fx)
		}
	}
	task.Punctuate(now.Add(time.Second), &fx)
	got := totals(t, decodeAll(t, fx.Records, event.TopicMetricsAggregated, event.DecodeMetricsAggregated))
	compare(t, model(log), got)
}

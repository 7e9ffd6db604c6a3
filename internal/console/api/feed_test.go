package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

// reader is what a page makes of the events.
type reader struct {
	o         Overview
	instances []*Instance
}

func (r *reader) take(t fataler, event []byte) {
	name, data, _ := bytes.Cut(bytes.TrimSuffix(event, []byte("\n\n")), []byte("\ndata: "))
	if string(name) == "event: overview" {
		r.o = Overview{}
		read(t, data, &r.o)
		r.instances = nil
		for i := range r.o.Services {
			for j := range r.o.Services[i].Instances {
				r.instances = append(r.instances, &r.o.Services[i].Instances[j])
			}
		}
		return
	}
	var c struct {
		Changes
		Instances [][]float64 `json:"instances"`
	}
	read(t, data, &c)
	r.o.At, r.o.Tick = c.At, c.Tick
	if c.Node != nil {
		r.o.Node = *c.Node
	}
	if c.Alerts != nil {
		r.o.Alerts = *c.Alerts
	}
	for _, v := range c.Services {
		s := &r.o.Services[int(v[0])]
		s.Rate, s.ErrorRate, s.MedianMs, s.Active, s.Panic = v[1], v[2], v[3], int64(v[4]), v[5] == 1
	}
	for _, s := range c.Standing {
		*r.instances[s.N] = s.Instance
	}
	for _, v := range c.Instances {
		in := r.instances[int(v[0])]
		in.Rate, in.ErrorRate, in.P50Ms, in.Cost.Total, in.Weight = v[3], v[4], v[5], v[10], v[9]
		in.InFlight = int64(v[8])
		if len(v) > 19 {
			in.Facts.Score, in.Facts.Trust = v[19], v[20]
		}
	}
}

type fataler interface{ Fatalf(string, ...any) }

func read(t fataler, data []byte, v any) {
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in %.300s", err, data)
	}
}

// genOverview draws a moment of two services; sometimes of others.
func genOverview(t *rapid.T, at time.Time, tick uint64) Overview {
	few := func(name string) float64 {
		return rapid.SampledFrom([]float64{0, 0, .5, 1, 12.3456, 1e9}).Draw(t, name)
	}
	o := Overview{At: at, Tick: tick, Node: Node{Node: "n", Version: rapid.SampledFrom([]string{"1", "1", "2"}).Draw(t, "version")}, Alerts: []Alert{}}
	if rapid.IntRange(0, 3).Draw(t, "alert") == 0 {
		o.Alerts = []Alert{{Alert: event.Alert{AlertID: "a"}}}
	}
	names := rapid.SampledFrom([][]string{{"a", "b"}, {"a", "b"}, {"a", "b"}, {"a"}, {}}).Draw(t, "instances")
	for _, id := range []string{"s", "t"} {
		s := Service{ID: id, Rate: few("service rate"), Panic: rapid.Bool().Draw(t, "panic"), Instances: []Instance{}}
		for _, name := range names {
			in := Instance{
				ID: name, State: rapid.SampledFrom([]string{"in", "in", "ejected"}).Draw(t, "state"), Rate: few("rate"), Weight: 1,
				Cost: Cost{Total: few("cost")}, History: []float32{float32(few("requests"))}, ErrorHist: []float32{0},
			}
			if rapid.Bool().Draw(t, "facts") {
				in.Facts = &Facts{Score: .5, Trust: 1, State: "HEALTHY", AgeMs: 100}
			}
			s.Instances = append(s.Instances, in)
		}
		o.Services = append(o.Services, s)
	}
	return o
}

// A page that takes every event, one that comes later and one that sleeps all
// end with what the node says now.
func TestPagesThatTakeTheChangesSeeTheOverview(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			var now Overview
			f := &feed{moment: func(context.Context, int) (Overview, error) { return now, nil }}
			pages := []*reader{{}, {}, {}}
			numbers := make([]uint64, len(pages))
			joined := make([]bool, len(pages))
			for tick := range rapid.IntRange(1, 12).Draw(rt, "seconds") {
				now = genOverview(rt, time.Now().UTC(), uint64(tick))
				time.Sleep(feedStep)
				for i, p := range pages {
					if i == 1 && tick < 3 || i == 2 && tick%7 != 0 {
						continue // comes later; sleeps
					}
					var events []payload
					var err error
					if joined[i] {
						events, err = f.next(t.Context(), numbers[i], false)
					} else {
						var first payload
						first, err = f.join(t.Context())
						events = []payload{first}
					}
					if err != nil {
						rt.Fatalf("%v", err)
					}
					for _, e := range events {
						p.take(rt, e.event)
						numbers[i], joined[i] = e.number, true
					}
					p.agrees(rt, now, fmt.Sprintf("page %d at %d", i, tick))
				}
			}
		})
	})
}

func (r *reader) agrees(t fataler, want Overview, where string) {
	if !reflect.DeepEqual(r.o.Node, want.Node) || len(r.o.Alerts) != len(want.Alerts) || r.o.Tick != want.Tick || len(r.o.Services) != len(want.Services) {
		t.Fatalf("%s: %+v, want %+v", where, r.o, want)
	}
	for i, s := range want.Services {
		got := r.o.Services[i]
		if !near(got.Rate, s.Rate) || got.Panic != s.Panic || len(got.Instances) != len(s.Instances) {
			t.Fatalf("%s: service %+v, want %+v", where, got, s)
		}
		for j, in := range s.Instances {
			g := got.Instances[j]
			if g.ID != in.ID || g.State != in.State || !near(g.Rate, in.Rate) || !near(g.Cost.Total, in.Cost.Total) || (g.Facts == nil) != (in.Facts == nil) {
				t.Fatalf("%s: instance %+v, want %+v", where, g, in)
			}
		}
	}
}

func near(a, b float64) bool { return a == b || math.Abs(a-b) <= .005*math.Abs(b) }

func TestCompressedEventsFollowEachOtherInOneStream(t *testing.T) {
	var whole bytes.Buffer
	whole.Write(gzipHead)
	want := ""
	for i := range 50 {
		event := fmt.Sprintf("event: changes\ndata: %d %s\n\n", i, bytes.Repeat([]byte("x"), i*i))
		whole.Write(zipChunk([]byte(event)))
		want += event
	}
	r, err := gzip.NewReader(&whole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if string(got) != want || !errors.Is(err, io.ErrUnexpectedEOF) { // it never ends by itself
		t.Errorf("%d bytes, want %d; %v", len(got), len(want), err)
	}
}

func TestWhatDoesNotChangeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Overview{Services: []Service{{ID: "s", Instances: []Instance{
			{ID: "a", Rate: 1, History: []float32{0}, ErrorHist: []float32{0}}, {ID: "b", Rate: 2, History: []float32{3}, ErrorHist: []float32{0}}}}}}
		asked := 0
		f := &feed{moment: func(context.Context, int) (Overview, error) {
			asked++
			o.At = time.Now()
			o.Services[0].Instances[0].Rate *= 1.0001 // noise
			return o, nil
		}}
		first, err := f.join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(feedStep)
		for range 100 { // so many pages ask for one moment
			events, err := f.next(t.Context(), first.number, true)
			if err != nil || len(events) != 1 {
				t.Fatalf("%d events, %v", len(events), err)
			}
			var c struct{ Instances, Services [][]float64 }
			_, data, _ := bytes.Cut(events[0].event, []byte("data: "))
			read(t, data, &c)
			if len(c.Instances) != 1 || c.Instances[0][0] != 1 || len(c.Services) != 0 {
				t.Fatalf("%s", data)
			}
		}
		if asked != 2 {
			t.Errorf("the overview was made %d times", asked)
		}
	})
}

// BenchmarkFeed is one second of 5,000 instances in 100 services that all have
// requests and other numbers each second: the worst that there is.
func BenchmarkFeed(b *testing.B) {
	o := Overview{At: time.Now(), Node: Node{Node: "n"}}
	for s := range 100 {
		v := Service{ID: fmt.Sprint("s", s), Policy: "adaptive"}
		for i := range 50 {
			v.Instances = append(v.Instances, Instance{ID: fmt.Sprintf("s%d-i%d", s, i), Address: "127.0.0.1:1", State: "in", Weight: 1, History: []float32{0}, ErrorHist: []float32{0},
				Facts: &Facts{Score: 1, State: "HEALTHY", Trust: 1, AgeMs: 500}})
		}
		o.Services = append(o.Services, v)
	}
	n := 0
	f := &feed{moment: func(context.Context, int) (Overview, error) {
		n++
		o.At = o.At.Add(time.Second)
		for s := range o.Services {
			for i := range o.Services[s].Instances {
				in := &o.Services[s].Instances[i]
				x := float64((n*7919+s*50+i)%1000) / 7
				in.Rate, in.P50Ms, in.P95Ms, in.P99Ms, in.InFlight = x, x*1.1, x*2.3, x*3.7, int64(x)%5
				in.Cost = Cost{Total: x / 3, LatencyFactor: x / 100, ErrorFactor: 1, Silence: 1, Capacity: 1 + x/1000, Veto: 1, SlowStart: 1, LatencyMs: x * 1.2}
				in.History[0] = float32(int(x))
			}
		}
		return o, nil
	}}
	for name, zip := range map[string]bool{"plain": false, "gzip": true} {
		b.Run(name, func(b *testing.B) {
			p, err := f.join(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			number, size := p.number, 0
			for b.Loop() {
				f.made = time.Time{}
				events, err := f.next(b.Context(), number, zip)
				if err != nil || len(events) != 1 {
					b.Fatalf("%d events, %v", len(events), err)
				}
				number = events[0].number
				size = len(events[0].event)
				if zip {
					size = len(events[0].zipped)
				}
			}
			b.ReportMetric(float64(size), "bytes/event")
		})
	}
}

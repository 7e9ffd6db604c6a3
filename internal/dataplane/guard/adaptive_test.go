package guard

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// overload is a service with a number of workers and a queue of its own, before it nodes with gates whose limits adapt, in
// virtual time.
type overload struct {
	rand    *rand.Rand
	now     int64
	events  events
	workers int
	busy    int
	queue   []*simulated // in the service
	service func() time.Duration
	nodes   []*simulatedNode
}

type simulatedNode struct {
	gate     Gate
	adaptive Adaptive
	ceiling  int
	waiting  []*simulated
	measured Latencies

	latencies []float64 // ms, of admitted requests, since the last look
	refused   int
}

type simulated struct {
	node    *simulatedNode
	waiter  *Waiter
	arrived int64
	sent    int64
}

type happening struct {
	at int64
	do func()
}

type events []happening

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(happening)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (o *overload) after(d time.Duration, do func()) {
	heap.Push(&o.events, happening{o.now + int64(d), do})
}

func newOverload(seed uint64, nodes, workers, ceiling int, service time.Duration) *overload {
	o := &overload{rand: rand.New(rand.NewPCG(seed, 2)), workers: workers, now: 1_800_000_007_300_000_000}
	o.serve(service)
	for i := range nodes {
		n := &simulatedNode{ceiling: ceiling, adaptive: Adaptive{Min: 3, Tolerance: 1.5}}
		n.gate.Set(Limits{Running: ceiling, Waiting: 1000})
		n.measured.Set(true)
		o.nodes = append(o.nodes, n)
		o.after(time.Duration(i)*37*time.Millisecond, func() { o.tick(n) })
	}
	return o
}

// serve sets the distribution of the time that a worker takes: half of it is constant, half exponential.
func (o *overload) serve(mean time.Duration) {
	o.service = func() time.Duration { return mean/2 + time.Duration(o.rand.ExpFloat64()*float64(mean/2)) }
}

// load sends requests at a rate until a time, to all nodes in turn.
func (o *overload) load(perSecond float64, lasts time.Duration) {
	until := o.now + int64(lasts)
	n := 0
	var next func()
	next = func() {
		if o.now >= until {
			return
		}
		o.arrive(o.nodes[n%len(o.nodes)])
		n++
		o.after(time.Duration(o.rand.ExpFloat64()/perSecond*1e9), next)
	}
	next()
	o.run(until)
}

func (o *overload) run(until int64) {
	for len(o.events) > 0 && o.events[0].at <= until {
		e := heap.Pop(&o.events).(happening)
		o.now = e.at
		e.do()
	}
	o.now = until
}

func (o *overload) tick(n *simulatedNode) {
	s := n.measured.Take()
	s.Peak = n.gate.TakePeak()
	n.adaptive.Update(s, n.ceiling, o.now)
	n.gate.Set(Limits{Running: n.adaptive.Limit(n.ceiling), Waiting: 1000})
	o.admitted(n)
	o.after(100*time.Millisecond, func() { o.tick(n) })
}

func (o *overload) arrive(n *simulatedNode) {
	r := &simulated{node: n, waiter: NewWaiter(), arrived: o.now}
	switch n.gate.Enter(r.waiter, Normal) {
	case Inside:
		o.send(r)
	case Queued:
		n.waiting = append(n.waiting, r)
		o.after(5*time.Second, func() {
			if len(n.waiting) > 0 && n.waiting[0] == r { // those before it came earlier
				n.waiting = n.waiting[1:]
				n.gate.Settle(r.waiter, true, QueueTimeout)
				n.refused++
			}
		})
	default:
		n.refused++
	}
}

// admitted sends the requests that the gate has let in.
func (o *overload) admitted(n *simulatedNode) {
	for len(n.waiting) > 0 && len(n.waiting[0].waiter.C()) > 0 {
		r := n.waiting[0]
		n.waiting = n.waiting[1:]
		o.send(r)
	}
}

func (o *overload) send(r *simulated) {
	r.sent = o.now
	if o.busy >= o.workers {
		o.queue = append(o.queue, r)
		return
	}
	o.work(r)
}

func (o *overload) work(r *simulated) {
	o.busy++
	o.after(o.service(), func() {
		o.busy--
		n := r.node
		n.measured.Observe(o.now-r.sent, r.waiter.Running())
		n.latencies = append(n.latencies, float64(o.now-r.sent)/1e6)
		n.gate.Leave(r.waiter)
		o.admitted(n)
		if len(o.queue) > 0 {
			next := o.queue[0]
			o.queue = o.queue[1:]
			o.work(next)
		}
	})
}

// seen is what the nodes saw together since the last look.
type seen struct {
	limit, refused, answered int
	p99                      float64 // ms
}

func (o *overload) look() (s seen) {
	var all []float64
	for _, n := range o.nodes {
		s.limit += n.adaptive.Limit(n.ceiling)
		s.refused += n.refused
		all = append(all, n.latencies...)
		n.latencies, n.refused = nil, 0
	}
	slices.Sort(all)
	if s.answered = len(all); s.answered > 0 {
		s.p99 = all[s.answered*99/100]
	}
	return s
}

// A service with 40 workers answers 400 requests in a second, each within about 100 ms. It gets 200, then 800, then 200 in a
// second. Requests above the limit wait at the gate or are refused, so those that are let in get their answers in time.
func TestTheLimitOfAnOverloadedServiceIsNearItsCapacity(t *testing.T) {
	for _, nodes := range []int{1, 4} {
		for seed := range uint64(2) {
			o := newOverload(seed, nodes, 40, 1000, 100*time.Millisecond)
			o.load(200, time.Minute)
			if s := o.look(); s.refused > 0 || s.limit != nodes*1000 {
				t.Errorf("%d nodes, seed %d: light load: %+v", nodes, seed, s)
			}
			o.load(800, 20*time.Second)
			o.look()
			for range 3 {
				o.load(800, 20*time.Second)
				if s := o.look(); s.limit < 20 || s.limit > 200 || s.p99 > 600 || s.answered < 20*400*85/100 {
					t.Errorf("%d nodes, seed %d: overload: %+v", nodes, seed, s)
				}
			}
			o.load(200, 20*time.Second)
			o.look()
			o.load(200, time.Minute)
			if s := o.look(); s.refused > 0 || s.p99 > 400 {
				t.Errorf("%d nodes, seed %d: light load afterwards: %+v", nodes, seed, s)
			}
		}
	}
}

// Without a limit the requests would wait for 2.5 s in the service.
func TestALimitIsFoundByANodeThatStartsInAnOverload(t *testing.T) {
	for _, nodes := range []int{1, 4} {
		for seed := range uint64(2) {
			o := newOverload(seed, nodes, 40, 1000, 100*time.Millisecond)
			o.load(800, time.Minute)
			o.look()
			for range 3 {
				o.load(800, 20*time.Second)
				if s := o.look(); s.limit < 20 || s.limit > 250 || s.p99 > 800 || s.answered < 20*400*85/100 {
					t.Errorf("%d nodes, seed %d: %+v", nodes, seed, s)
				}
			}
		}
	}
}

// A new version of the service takes twice as long for a request, at once or in steps. It has enough workers for its load, so
// none of its requests may be refused.
func TestAServiceThatBecameSlowerIsNoOverload(t *testing.T) {
	for _, steps := range []int{1, 10} {
		for seed := range uint64(2) {
			o := newOverload(seed, 1, 40, 1000, 100*time.Millisecond)
			o.load(100, time.Minute)
			for i := range steps {
				o.serve(time.Duration(100+100*(i+1)/steps) * time.Millisecond)
				o.load(100, 40*time.Second)
			}
			o.load(100, 2*time.Minute)
			if s := o.look(); s.refused > 0 {
				t.Errorf("%d steps, seed %d: %+v", steps, seed, s)
			}
			if base := time.Duration(o.nodes[0].adaptive.base); base < 150*time.Millisecond || base > 250*time.Millisecond {
				t.Errorf("%d steps, seed %d: base %v", steps, seed, base)
			}
			o.load(400, 40*time.Second) // it can answer 200 in a second
			o.look()
			o.load(400, time.Minute)
			if s := o.look(); s.limit < 20 || s.limit > 150 || s.p99 > 1200 {
				t.Errorf("%d steps, seed %d: overload: %+v", steps, seed, s)
			}
		}
	}
}

func TestWithoutMeasurementsTheLimitStays(t *testing.T) {
	a := Adaptive{Min: 3, Tolerance: 1.5}
	for i := range int64(1000) {
		a.Update(Sample{Peak: 50}, 50, i*1e8)
	}
	if got := a.Limit(50); got != 50 {
		t.Errorf("got %d", got)
	}
}

// Whatever is measured, and however the clock is set, the limit stays within its bounds, and a light load with a steady
// latency soon ends each restriction.
func TestTheLimitStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Adaptive{Min: rapid.IntRange(1, 20).Draw(t, "min"), Tolerance: rapid.Float64Range(1.1, 10).Draw(t, "tolerance")}
		wall := rapid.Int64Range(0, 2e18).Draw(t, "wall")
		for range rapid.IntRange(1, 200).Draw(t, "windows") {
			ceiling := rapid.SampledFrom([]int{0, 1, 5, 100, 1_000_000}).Draw(t, "ceiling")
			n := rapid.Int64Range(0, 100).Draw(t, "requests")
			running := rapid.Int64Range(1, 1000).Draw(t, "running")
			a.Update(Sample{
				Count: n, Latency: n * rapid.Int64Range(0, 1e11).Draw(t, "latency"), Running: n * running, Peak: int(running),
			}, ceiling, wall)
			wall = max(0, wall+rapid.SampledFrom([]int64{1e8, 1e9, 5e9, 3600e9, -1e9, -3600e9}).Draw(t, "step"))
			if got := a.Limit(ceiling); got > ceiling || got < min(a.Min, ceiling) {
				t.Fatalf("limit %d, ceiling %d, min %d", got, ceiling, a.Min)
			}
		}
		for range 200 {
			wall += 1e9
			a.Update(Sample{Count: 30, Latency: 30 * 1e8, Running: 30, Peak: 1}, 100, wall)
		}
		if a.test.kind != noTest || a.doubt {
			t.Fatalf("a test does not end: %+v", a)
		}
	})
}

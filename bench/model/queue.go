package main

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/stats"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

const (
	workers  = 4
	meanNs   = 20e6
	epoch    = int64(1e9) // the clock must not begin at 0, which means "never"
	tick     = int64(1e8) // between two pools, as the keeper does it
	warmupNs = int64(6e9)
)

// event is something that happens at a time: an answer where answered is set,
// else a new pool, else an arrival.
type event struct {
	at       int64
	answered *request
	rebuild  bool
}

type request struct {
	arrived, service int64
	mean             float64
	proxy, instance  int
	fails, fast      bool // fast: without a worker
	ticket           upstream.Ticket
	tried            [upstream.MaxTries]*upstream.Live
	tries            int
}

type events []event

func (h events) Len() int           { return len(h) }
func (h events) Less(i, j int) bool { return h[i].at < h[j].at }
func (h events) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)        { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

type result struct {
	rb99, mean float64 // ms
	errors     float64 // percent of the requests
	share      []float64
}

// proxy is one balancer: it knows its own requests only.
type proxy struct {
	service *upstream.Service
	spec    picker.Spec
}

// queues is the state of a run.
type queues struct {
	situation
	seed    uint64
	rnd     *rand.Rand
	proxies []proxy
	ask     upstream.Ask
	next    events
	busy    []int
	waiting [][]*request
}

func (s situation) run(spec picker.Spec, seed uint64, span time.Duration) result {
	q := &queues{
		situation: s, seed: seed, rnd: rand.New(rand.NewPCG(seed, 99)), ask: upstream.Ask{Rand: rand.NewPCG(seed, 7)},
		busy: make([]int, s.n), waiting: make([][]*request, s.n),
	}
	rate := 0.0 // per ns
	for i := range s.n {
		scale := s.scale(seed, i, 0)
		if strings.HasPrefix(s.name, "antag") { // load is of the capacity without slow slots
			scale = 1
		}
		rate += s.load * workers * s.weight(i) / (meanNs * scale)
	}
	for range s.proxies {
		p := proxy{upstream.NewService("s"), spec}
		for i := range s.n {
			p.spec.Entries = append(p.spec.Entries, picker.Entry{Live: upstream.NewLive("s", fmt.Sprint(i), "", 1, epoch), Weight: s.weight(i)})
		}
		q.proxies = append(q.proxies, p)
	}
	q.rebuild(epoch)
	heap.Push(&q.next, event{at: epoch})
	heap.Push(&q.next, event{at: epoch + tick, rebuild: true})
	r := result{share: make([]float64, s.n)}
	var waits []stats.Waited
	for q.next.Len() > 0 {
		e := heap.Pop(&q.next).(event)
		switch x := e.answered; {
		case x != nil:
			if q.answer(x, e.at); x.fails && q.retry(x, e.at) {
				continue
			}
			if x.arrived-epoch >= warmupNs {
				r.errors += failed(x)
				waits = append(waits, stats.Waited{Wait: float64(e.at-x.arrived-x.service) / 1e6, Mean: x.mean / 1e6})
				r.share[x.instance]++
				r.mean += float64(e.at-x.arrived) / 1e6
			}
		case e.at > epoch+int64(span): // what is under way ends
		case e.rebuild:
			q.rebuild(e.at)
			heap.Push(&q.next, event{at: e.at + tick, rebuild: true})
		default:
			q.arrive(e.at)
			heap.Push(&q.next, event{at: e.at + int64(q.rnd.ExpFloat64()/rate)})
		}
	}
	r.mean /= float64(len(waits))
	r.errors *= 100 / float64(len(waits))
	for i := range r.share {
		r.share[i] *= 100 / float64(len(waits))
	}
	r.rb99 = stats.RB99(waits, 1)
	return r
}

func (q *queues) rebuild(now int64) {
	nothing := func(*upstream.Live) picker.Fact { return picker.Fact{} }
	for _, p := range q.proxies {
		p.service.Swap(picker.Next(p.service.Pool(), p.spec, nothing, now, func() float64 { return 0 }))
	}
}

func (q *queues) arrive(now int64) {
	r := &request{arrived: now, proxy: q.rnd.IntN(len(q.proxies))}
	if !q.send(r, now) {
		panic("a pool of well instances gave none")
	}
}

// send picks an instance for a request. It reports false if there is none that was not tried.
func (q *queues) send(r *request, now int64) bool {
	q.ask.Now, q.ask.NTried, q.ask.Tried = now, r.tries, r.tried
	if _, ok := q.proxies[r.proxy].service.Pick(&q.ask, &r.ticket); !ok {
		return false
	}
	r.tries, r.tried = q.ask.NTried, q.ask.Tried
	i := r.ticket.Index()
	r.instance = i
	r.fails = q.errors > 0 && i == q.n-1 && q.rnd.Float64() < q.errors
	if r.fast = r.fails && q.fast; r.fast {
		r.service, r.mean = 1e6, meanNs
		heap.Push(&q.next, event{at: now + r.service, answered: r})
		return true
	}
	if q.busy[i] >= int(math.Round(workers*q.weight(i))) {
		q.waiting[i] = append(q.waiting[i], r)
		return true
	}
	q.busy[i]++
	q.serve(r, now)
	return true
}

// retry sends a failed request to another instance.
func (q *queues) retry(r *request, now int64) bool { return r.tries <= q.retries && q.send(r, now) }

func failed(r *request) float64 {
	if r.fails {
		return 1
	}
	return 0
}

func (q *queues) serve(r *request, now int64) {
	r.mean = meanNs * q.scale(q.seed, r.instance, time.Duration(now-epoch))
	r.service = int64(stats.Lognormal{Mean: r.mean, CV: 1}.Draw(q.rnd))
	heap.Push(&q.next, event{at: now + r.service, answered: r})
}

func (q *queues) answer(r *request, now int64) {
	o := upstream.Success
	if r.fails {
		o = upstream.Failed
	}
	r.ticket.Observe(o, now)
	r.ticket.Release()
	if r.fast {
		return
	}
	if w := q.waiting[r.instance]; len(w) > 0 {
		q.waiting[r.instance] = w[1:]
		q.serve(w[0], now)
		return
	}
	q.busy[r.instance]--
}
